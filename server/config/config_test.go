package config

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/sinks"
	"github.com/brevet-ca/brevet/storage/keys"
)

const leastFile = "trust_domain: example.internal\nadvertise: https://ca.example\n"

const fullFile = `# the authority of Example
trust_domain: example.internal
advertise: https://CA.example:8443/
listen: "[::]:8443"
listen_http: [":80", "[::1]:8080"]
listen_metrics: 127.0.0.1:9090
names: [brevet, 10.0.0.1, "2001:db8::1"]
proxy_protocol: [10.0.0.7, 10.1.0.0/16, "2001:db8::/48"]
profiles:
  default: {lifetime: 10m}
  batch:
    lifetime: 2h
    max_lifetime: 24h
  hybrid: {algorithm: mldsa65-ecdsa-p256-sha512}
keys:
  passphrase_file: /etc/brevet/passphrase
operators: {1000: {name: alice, role: security}}
log: {level: warn, format: json}
acme: {resolver: "[::1]:53", allow: [127.0.0.0/8, "::1/128"], http_port: 8081, tls_port: 8444}
crl: {bundle_lifetime: 36h}
renew_grace: 48h
rotate: {issuer: 3/4, profile-issuer: 20d, https-issuer: off, tokens: 7d, audit: off}
limits: {tokens: 7, events: 1000000}
tokens: {post_quantum: ["https://api.example", "urn:example:bank"]}
health: {backup_age: 36h}
policy: {zone: Europe/Berlin}
telemetry: {otlp: "http://127.0.0.1:4318"}
audit:
  segment: 64kB
  sinks:
    - {name: siem, syslog: "tls://[2001:db8::1]:6514", ca: /etc/brevet/logs.pem, certificate: /c.pem, key: /k.pem, format: cef, start: now}
    - {name: archive, file: /var/log/brevet/audit.jsonl, max_size: 100MB}
    - {name: hook, webhook: "https://hooks.example/x?y=z", secret_credential: brevet-hook, format: jsonl}
`

func TestParse(t *testing.T) {
	least, err := parse([]byte(leastFile))
	if err != nil || !slices.Equal(least.Listen, []string{"127.0.0.1:8443"}) || !slices.Equal(least.ListenHTTP, []string{"127.0.0.1:8080"}) || least.ListenMetrics != nil || least.Keys.Plain || least.Audit.Segment != 16_000_000 || least.Health.BackupAge != 7*24*time.Hour || least.Log.Level != slog.LevelInfo || least.RenewGrace != 24*time.Hour || len(least.Profiles) != 0 || !reflect.DeepEqual(least.ACME, acme.ChallengeConfig{}) {
		t.Errorf("got %+v, %v", least, err)
	}
	want := &File{
		TrustDomain: "example.internal", Advertise: "https://ca.example:8443", Listen: []string{"[::]:8443"}, ListenHTTP: []string{":80", "[::1]:8080"}, ListenMetrics: []string{"127.0.0.1:9090"}, MoreNames: []string{"brevet", "10.0.0.1", "2001:db8::1"},
		ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("10.0.0.7/32"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::/48")},
		Operators:     map[uint32]Operator{1000: {"alice", persons.Security}},
		Profiles:      map[string]ca.ProfileConfig{"default": {Lifetime: 10 * time.Minute}, "batch": {Lifetime: 2 * time.Hour, MaxLifetime: 24 * time.Hour}, "hybrid": {Algorithm: "mldsa65-ecdsa-p256-sha512"}},
	}
	want.ACME = acme.ChallengeConfig{
		Resolver: "[::1]:53", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, HTTPPort: 8081, TLSPort: 8444,
	}
	want.CRL.Bundle, want.Audit.Segment = 36*time.Hour, 64_000
	want.RenewGrace = 48 * time.Hour
	want.Rotate = map[keys.Purpose]Schedule{
		keys.Issuer: {Part: Fraction{3, 4}}, keys.ProfileIssuer: {Part: twoThirds, Age: 20 * 24 * time.Hour}, keys.HTTPSIssuer: {},
		keys.Tokens: {Age: 7 * 24 * time.Hour}, keys.TokensPQ: {Age: 30 * 24 * time.Hour}, keys.Audit: {},
	}
	want.Limits = agents.Quotas{agents.QuotaCertificates: 5000, agents.QuotaTokens: 7, agents.QuotaOrders: 1000, agents.QuotaEvents: 1000000, agents.QuotaAssertions: 20000, agents.QuotaCompromised: 100}
	want.Health.BackupAge = 36 * time.Hour
	want.Policy.Zone = "Europe/Berlin"
	want.Telemetry.OTLP = "http://127.0.0.1:4318"
	want.Tokens.PostQuantum = []string{"https://api.example", "urn:example:bank"}
	want.Audit.Sinks = []sinks.Config{
		{Name: "siem", Kind: sinks.Syslog, Target: "tls://[2001:db8::1]:6514", CA: "/etc/brevet/logs.pem", Certificate: "/c.pem", Key: "/k.pem", Format: sinks.CEF, Skip: true},
		{Name: "archive", Kind: sinks.File, Target: "/var/log/brevet/audit.jsonl", MaxSize: 100_000_000, Keep: 10, Format: sinks.JSON},
		{Name: "hook", Kind: sinks.Webhook, Target: "https://hooks.example/x?y=z", Credential: "brevet-hook", Format: sinks.JSON},
	}
	want.Keys.PassphraseFile, want.Log.Level, want.Log.JSON = "/etc/brevet/passphrase", slog.LevelWarn, true
	if got, err := parse([]byte(fullFile)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got := want.BaseURL(); got != "http://ca.example" {
		t.Errorf("what is public is at %s", got)
	}
	if got := least.BaseURL(); got != "http://ca.example:8080" {
		t.Errorf("what is public is at %s", got)
	}
	for from, want := range map[string][2]string{
		"advertise: https://CA.example:443/":                                       {"https://ca.example", "http://ca.example:8080"},
		"advertise: \"https://ca.example:\"":                                       {"https://ca.example", "http://ca.example:8080"},
		"advertise: https://[2001:db8::443]":                                       {"https://[2001:db8::443]", "http://[2001:db8::443]:8080"},
		"advertise: https://[2001:db8::1]:443":                                     {"https://[2001:db8::1]", "http://[2001:db8::1]:8080"},
		"advertise: https://ca.example\nadvertise_http: http://PKI.example:80/":    {"https://ca.example", "http://pki.example"},
		"advertise: https://ca.example:80\nadvertise_http: http://pki.example:443": {"https://ca.example:80", "http://pki.example:443"},
	} {
		got, err := parse([]byte("trust_domain: example.internal\n" + from + "\n"))
		if err != nil || got.Advertise != want[0] || got.BaseURL() != want[1] {
			t.Errorf("%s: %+v, %v", from, got, err)
		}
	}
}

// sinkFile is a file with one sink.
func sinkFile(sink string) string {
	return leastFile + "audit:\n  sinks:\n    - {" + sink + "}\n"
}

// TestParseSaysWhere something is wrong, by line and column, and what.
func TestParseSaysWhere(t *testing.T) {
	for _, c := range []struct{ what, text, want string }{
		{"nothing", "", "1:1: the file is empty"},
		{"a comment", "# later\n", "1:1: the file is empty"},
		{"a list", "- a\n", "1:1: want keys and values here"},
		{"a word", "brevet\n", "1:1: want keys and values here"},
		{"nothing needed", "listen: :1\n", "1:1: trust_domain and advertise must be there"},
		{"an unknown key", leastFile + "advertize: https://x.example\n", `3:1: unknown key "advertize": want one of acme, advertise, advertise_http, audit, crl, health, key_max_age, keys, limits, listen,`},
		{"an age of keys that is too short", leastFile + "key_max_age: 1h\n", `3:1: key_max_age "1h": want 1d or more`},
		{"an age of unknown keys", leastFile + "key_max_age: {x: 1d}\n", `3:15: unknown key "x": want one of acme, lasting, registered`},
		{"an unknown key in upper case", leastFile + "Listen: :1\n", `3:1: unknown key "Listen"`},
		{"an unknown key below", leastFile + "keys:\n  plane: true\n", `4:3: unknown key "plane": want one of passphrase_file, plain`},
		{"an unknown key in a profile", leastFile + "profiles:\n  batch:\n    ttl: 5m\n", `5:5: unknown key "ttl"`},
		{"a key that is no word", leastFile + "[a]: b\n", `3:1: unknown key ""`},
		{"a merge", leastFile + "keys: &k {plain: true}\n<<: *k\n", `4:1: unknown key "<<"`},
		{"a key twice", leastFile + "listen: :1\nlisten: :2\n", `4:1: key "listen" comes twice`},
		{"a second document", leastFile + "---\nlisten: :1\n", "3:1: more than one document"},
		{"a second document that is none", leastFile + "---\n\"\n", "4:1: found unexpected end"},
		{"a tab", leastFile + "\tlisten: :1\n", "2:1: found a tab"},
		{"a quote left open", leastFile + `listen: ":1`, "3:1: found unexpected end"},
		{"a NUL", leastFile + "listen: \x00\n", "1:1: control characters"},
		{"not UTF-8", leastFile + "listen: \xff\n", "1:1: invalid leading"},
		{"a trust domain in upper case", "trust_domain: Example\n", "1:1: invalid trust domain"},
		{"an advertised path", "advertise: https://ca.example/path\n", "1:1: advertise"},
		{"http", "advertise: http://ca.example\n", "1:1: advertise"},
		{"https for what is public", leastFile + "advertise_http: https://ca.example\n", `3:1: advertise_http "https://ca.example": want http://HOST or http://HOST:PORT`},
		{"no scheme", "advertise: ca.example:8443\n", "1:1: advertise"},
		{"no host", "advertise: https://:8443\n", "1:1: advertise"},
		{"a user", "advertise: https://u:p@ca.example\n", "1:1: advertise"},
		{"a query", "advertise: https://ca.example?x=y\n", "1:1: advertise"},
		{"a fragment", "advertise: https://ca.example#x\n", "1:1: advertise"},
		{"an address that is everywhere", "advertise: https://0.0.0.0:8443\n", "1:1: advertise"},
		{"an address that is everywhere in IPv6", "advertise: https://[::]:8443\n", "1:1: advertise"},
		{"a host that no certificate can have", "advertise: https://my_host:8443\n", "1:1: advertise"},
		{"another agent's name", "trust_domain: example.internal\nadvertise: https://pki.example.internal\n", `1:1: advertise, listen and names: name belongs to another agent: pki.example.internal lies in the trust domain`},
		{"the trust domain's name", "trust_domain: example.internal\nadvertise: https://example.internal\n", `1:1: advertise, listen and names: name belongs to another agent: example.internal is the trust domain itself; the server may have the name brevet.example.internal`},
		{"a listening host that is no name", leastFile + "listen: my_host:1\n", "1:1: advertise, listen and names: invalid DNS name"},
		{"no port", leastFile + "listen: localhost\n", "3:1: address \"localhost\": want HOST:PORT"},
		{"no value", leastFile + "listen_http:\n", "3:1: address \"\": want HOST:PORT"},
		{"no addresses", leastFile + "listen: []\n", "3:9: want at least one address"},
		{"an address twice", leastFile + "listen_http: [\":1\", \":2\", \":1\"]\n", `3:27: address ":1" comes twice`},
		{"a list of lists", leastFile + "listen_metrics: [[\":1\"]]\n", "3:18: want one value here"},
		{"a list with a port alone", leastFile + "listen: [\":1\", \"2\"]\n", `3:16: address "2": want HOST:PORT`},
		{"a passphrase's list", leastFile + "keys:\n  passphrase_file: [a]\n", "4:20: want one value here"},
		{"an alias", leastFile + "listen: &a :1\nkeys: {passphrase_file: *a}\n", "4:25: want one value here"},
		{"keys that are a word", leastFile + "keys: plain\n", "3:7: want keys and values here"},
		{"plain or not", leastFile + "keys: {plain: maybe}\n", `3:8: plain "maybe": want true or false`},
		{"a duration without unit", leastFile + "profiles: {p: {lifetime: 5}}\n", `3:16: invalid duration "5": use 90s, 5m, 12h or 30d`},
		{"a lifetime of seconds", leastFile + "profiles:\n  p: {lifetime: 5s}\n", `4:6: profile "p": want 1m <= lifetime`},
		{"an algorithm that there is not", leastFile + "profiles:\n  p: {lifetime: 5m, algorithm: mldsa66}\n", `4:21: invalid key algorithm "mldsa66": want ecdsa-p256,`},
		{"two that make none", leastFile + "profiles:\n  p:\n    algorithm: mldsa65+ecdsa-p256\n", `5:5: invalid key algorithm "mldsa65+ecdsa-p256"`},
		{"no algorithm", leastFile + "profiles: {p: {algorithm: }}\n", `3:16: invalid key algorithm ""`},
		{"a list of algorithms", leastFile + "profiles: {p: {algorithm: [mldsa65]}}\n", "3:27: want one value here"},
		{"one proxy", leastFile + "proxy_protocol: 10.0.0.1\n", "3:17: want a list here"},
		{"a proxy's name", leastFile + "proxy_protocol: [10.0.0.1, proxy.example]\n", `3:28: proxy "proxy.example": want IP or IP/BITS`},
		{"everybody a proxy", leastFile + "proxy_protocol: [0.0.0.0/0]\n", `3:18: proxy "0.0.0.0/0": want IP or IP/BITS`},
		{"a proxy in a net", leastFile + "proxy_protocol: [10.0.0.1/8]\n", `3:18: proxy "10.0.0.1/8": write it as 10.0.0.0/8`},
		{"a proxy twice", leastFile + "proxy_protocol: [10.0.0.1, 10.0.0.1/32]\n", `3:28: proxy "10.0.0.1/32" comes twice`},
		{"one name", leastFile + "names: pki.example\n", "3:8: want a list here"},
		{"a name with a star", leastFile + "names: [\"*.ca.example\"]\n", `3:9: name "*.ca.example": want the DNS name or the IP address of this server`},
		{"a name with a challenge", leastFile + "names: [\"pki.example,http-01\"]\n", "3:9: "},
		{"an address that is everywhere among names", leastFile + "names: [pki.example, 0.0.0.0]\n", `3:22: invalid IP address "0.0.0.0"`},
		{"a name twice", leastFile + "names: [pki.example, PKI.example]\n", `3:22: name "pki.example" comes twice`},
		{"another agent's name among names", "trust_domain: example.internal\nadvertise: https://ca.example\nnames: [bot.example.internal]\n", "1:1: advertise, listen and names: name belongs to another agent"},
		{"a limit below the lifetime", leastFile + "profiles:\n  p: {lifetime: 1h, max_lifetime: 5m}\n", `4:6: profile "p"`},
		{"the authority's own profile", leastFile + "profiles:\n  server: {}\n", "4:11: profile \"server\": the name is taken"},
		{"a profile twice", leastFile + "profiles:\n  p: {}\n  p: {}\n", `5:3: key "p" comes twice`},
		{"a bundle of minutes", leastFile + "crl: {bundle_lifetime: 10m}\n", `3:7: bundle_lifetime "10m": want 1h to 31d`},
		{"a segment of bits", leastFile + "audit: {segment: 16Mb}\n", `3:9: segment "16Mb": want 64kB to 512MB`},
		{"a small segment", leastFile + "audit: {segment: 63kB}\n", `3:9: segment "63kB": want 64kB to 512MB`},
		{"a large segment", leastFile + "audit: {segment: 1000MB}\n", `3:9: segment "1000MB": want 64kB to 512MB`},
		{"a window of months", leastFile + "renew_grace: 1000h\n", `3:1: renew_grace "1000h": want 0 to 31d, in whole seconds`},
		{"a window before the end", leastFile + "renew_grace: -1h\n", `3:1: invalid duration "-1h": use 90s, 5m, 12h or 30d`},
		{"a loud log", leastFile + "log: {level: loud}\n", `3:7: level "loud": want debug, info, warn or error`},
		{"a log in colour", leastFile + "log: {format: colour}\n", `3:7: format "colour": want json or text`},
		{"a sink without a name", sinkFile("file: /x"), `5:7: name "": want`},
		{"a sink's name", sinkFile("name: a b, file: /x"), `5:7: name "a b": want`},
		{"two sinks of one name", sinkFile("name: a, file: /x") + "    - {name: a, file: /y}\n", `6:7: sink "a" comes twice`},
		{"a sink to nowhere", sinkFile("name: a"), "5:7: want one of syslog, file and webhook"},
		{"a sink to two places", sinkFile("name: a, file: /x, webhook: https://h"), "5:27: a sink has one of"},
		{"a file by a relative path", sinkFile("name: a, file: x"), `5:7: file "x": want an absolute path`},
		{"a syslog server by UDP", sinkFile("name: a, syslog: udp://h:514"), `5:7: syslog "udp://h:514": want tls://HOST:PORT or tcp://HOST:PORT`},
		{"a syslog server without a port", sinkFile("name: a, syslog: tls://h"), `5:7: syslog "tls://h": want`},
		{"a webhook by plain HTTP", sinkFile("name: a, webhook: http://h, secret_file: /x"), `5:7: webhook "http://h": want https://HOST/PATH`},
		{"a webhook with a password", sinkFile("name: a, webhook: https://u:p@h, secret_file: /x"), `5:7: webhook`},
		{"a webhook without a secret", sinkFile("name: a, webhook: https://h"), "5:7: a webhook needs one of secret_file and secret_credential"},
		{"a webhook with its secret in the file", sinkFile("name: a, webhook: https://h, secret: whsec_x"), `5:37: unknown key "secret"`},
		{"TLS for a file", sinkFile("name: a, file: /x, ca: /y"), "5:7: ca, certificate and key are for TLS, not for a file"},
		{"a certificate without a key", sinkFile("name: a, syslog: tls://h:1, certificate: /y"), "5:7: certificate and key belong together"},
		{"rotation for a webhook", sinkFile("name: a, webhook: https://h, secret_file: /x, keep: 3"), "5:7: max_size and keep are for a file"},
		{"a size without a unit", sinkFile("name: a, file: /x, max_size: 100"), `5:27: size "100": want a number of kB, MB or GB`},
		{"a format", sinkFile("name: a, file: /x, format: leef"), `5:27: format "leef": want jsonl or cef`},
		{"a resolver's name", leastFile + "acme: {resolver: dns.example:53}\n", `3:8: resolver "dns.example:53": want the IP:PORT of a DNS server`},
		{"a resolver without port", leastFile + "acme: {resolver: 127.0.0.1}\n", `3:8: resolver "127.0.0.1": want the IP:PORT`},
		{"a resolver at no port", leastFile + "acme: {resolver: 127.0.0.1:0}\n", `3:8: resolver "127.0.0.1:0": want the IP:PORT`},
		{"an allowed word", leastFile + "acme:\n  allow: 127.0.0.0/8\n", "4:10: want a list here"},
		{"an allowed address", leastFile + "acme:\n  allow: [127.0.0.0/8, 127.0.0.1]\n", `4:24: prefix "127.0.0.1": want IP/BITS`},
		{"an allowed host in a net", leastFile + "acme: {allow: [127.0.0.1/8]}\n", `3:16: prefix "127.0.0.1/8": write it as 127.0.0.0/8`},
		{"an allowed mapped net", leastFile + "acme: {allow: [\"::ffff:127.0.0.0/104\"]}\n", `3:16: prefix "::ffff:127.0.0.0/104": want IP/BITS`},
		{"an allowed list", leastFile + "acme: {allow: [[127.0.0.0/8]]}\n", "3:16: want one value here"},
		{"a port by name", leastFile + "acme: {http_port: http}\n", `3:8: port "http": want 1 to 65535`},
		{"a port too many", leastFile + "acme: {tls_port: 65536}\n", `3:8: port "65536": want 1 to 65535`},
		{"an audience that is none", leastFile + "tokens:\n  post_quantum: [https://api.example, api]\n", `4:39: invalid audience "api": want an absolute URI`},
		{"an audience twice", leastFile + "tokens: {post_quantum: [https://api.example, https://api.example]}\n", `3:46: audience "https://api.example" comes twice`},
		{"one audience", leastFile + "tokens: {post_quantum: https://api.example}\n", "3:24: want a list here"},
		{"another signature", leastFile + "tokens: {mldsa: [https://api.example]}\n", `3:10: unknown key "mldsa": want one of post_quantum`},
		{"a backup without a unit", leastFile + "health: {backup_age: 7}\n", `3:10: backup_age "7": want one such as 36h, 7d or never`},
		{"a zone that nobody knows", leastFile + "policy: {zone: Europe/Atlantis}\n", `3:10: zone "Europe/Atlantis": want`},
		{"a collector with a password", leastFile + "telemetry: {otlp: 'http://me:secret@example'}\n", `3:13: otlp: want http://HOST:PORT`},
		{"a collector of gRPC", leastFile + "telemetry: {otlp: grpc://example:4317}\n", `3:13: otlp: want http://HOST:PORT`},
		{"a backup of minutes", leastFile + "health: {backup_age: 90m}\n", `3:10: backup_age "90m"`},
		{"port 0", leastFile + "acme: {tls_port: 0}\n", `3:8: port "0": want 1 to 65535`},
		{"an unknown key of acme", leastFile + "acme: {dns: 127.0.0.1:53}\n", `3:8: unknown key "dns": want one of allow, http_port, resolver, tls_port`},
	} {
		f, err := parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || c.want[0] >= '0' && c.want[0] <= '9' && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.what, err, c.want)
		}
		if f != nil {
			t.Errorf("%s: something came with the error: %+v", c.what, f)
		}
	}
}

// FuzzParse: what is accepted can be written down and read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{leastFile, fullFile, "", "---\n", leastFile + "keys: {plain: true}\n", leastFile + "listen: &a :1\nlisten_http: *a\n", leastFile + "profiles: {p: {lifetime: 1h1m1.5s}}\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parse(text)
		if err != nil {
			if got != nil || strings.TrimSpace(err.Error()) == "" {
				t.Errorf("%q: got %+v, %v", text, got, err)
			}
			return
		}
		profiles := map[string]map[string]string{}
		for name, p := range got.Profiles {
			profiles[name] = map[string]string{"lifetime": p.Lifetime.String(), "max_lifetime": p.MaxLifetime.String()}
			if p.Algorithm != "" {
				profiles[name]["algorithm"] = string(p.Algorithm)
			}
		}
		all := map[string]any{
			"trust_domain": string(got.TrustDomain), "advertise": got.Advertise, "listen": got.Listen, "listen_http": got.ListenHTTP, "profiles": profiles,
			"keys": map[string]any{"plain": got.Keys.Plain, "passphrase_file": got.Keys.PassphraseFile},
			"log":  map[string]string{"level": got.Log.Level.String(), "format": map[bool]string{true: "json", false: "text"}[got.Log.JSON]},
			"acme": acmeKeys(got.ACME), "crl": crlKeys(got.CRL.Bundle), "limits": limitKeys(got.Limits), "health": healthKeys(got.Health.BackupAge), "telemetry": collectorKeys(got.Telemetry.OTLP), "policy": zoneKeys(got.Policy.Zone), "renew_grace": got.RenewGrace.String(), "names": got.MoreNames, "proxy_protocol": got.ProxyProtocol, "tokens": map[string]any{"post_quantum": got.Tokens.PostQuantum},
			"audit": map[string]any{"segment": fmt.Sprintf("%dkB", got.Audit.Segment/1000)},
		}
		if len(got.Operators) > 0 {
			users := map[uint32]map[string]string{}
			for uid, o := range got.Operators {
				users[uid] = map[string]string{"name": string(o.Name), "role": o.Role.String()}
			}
			all["operators"] = users
		}
		rotate := map[string]string{}
		for p, s := range got.Rotate {
			rotate[string(p)] = s.String()
		}
		all["rotate"] = rotate
		if got.ListenMetrics != nil {
			all["listen_metrics"] = got.ListenMetrics
		}
		if len(got.Audit.Sinks) > 0 {
			all["audit"] = map[string]any{"segment": fmt.Sprintf("%dkB", got.Audit.Segment/1000), "sinks": sinkKeys(got.Audit.Sinks)}
		}
		written, err := yaml.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(written)
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%q was read as %+v; that, written as %s, is read as %+v, %v", text, got, written, again, err)
		}
	})
}

func collectorKeys(url string) map[string]string {
	if url == "" {
		return nil
	}
	return map[string]string{"otlp": url}
}

func limitKeys(q agents.Quotas) map[string]int64 {
	keys := map[string]int64{}
	for _, k := range agents.QuotaKinds() {
		keys[k.String()] = q[k]
	}
	return keys
}

func crlKeys(bundle time.Duration) map[string]any {
	if bundle == 0 {
		return nil
	}
	return map[string]any{"bundle_lifetime": bundle.String()}
}

func sinkKeys(all []sinks.Config) (list []map[string]string) {
	for _, c := range all {
		keys := map[string]string{"name": c.Name, string(c.Kind): c.Target, "format": string(c.Format), "ca": c.CA, "certificate": c.Certificate, "key": c.Key,
			"secret_file": c.Secret, "secret_credential": c.Credential, "start": map[bool]string{true: "now"}[c.Skip]}
		if c.MaxSize > 0 {
			keys["max_size"], keys["keep"] = fmt.Sprintf("%dkB", c.MaxSize/1000), fmt.Sprint(c.Keep)
		}
		maps.DeleteFunc(keys, func(_, value string) bool { return value == "" })
		list = append(list, keys)
	}
	return list
}

// acmeKeys has the keys of c that are set.
func acmeKeys(c acme.ChallengeConfig) map[string]any {
	keys := map[string]any{}
	if c.Resolver != "" {
		keys["resolver"] = c.Resolver
	}
	if c.Allow != nil {
		keys["allow"] = c.Allow
	}
	if c.HTTPPort != 0 {
		keys["http_port"] = c.HTTPPort
	}
	if c.TLSPort != 0 {
		keys["tls_port"] = c.TLSPort
	}
	return keys
}

// TestNamesOfTheServer are those that its certificate has.
func TestNamesOfTheServer(t *testing.T) {
	for _, c := range []struct {
		advertise, listen string
		want              string
	}{
		{"https://127.0.0.1:8443", "127.0.0.1:8443", "[localhost] [127.0.0.1 127.0.0.1]"},
		{"https://brevet.example.internal", ":443", "[brevet.example.internal] []"},
		{"https://ca.example", "0.0.0.0:443", "[ca.example] []"},
		{"https://ca.example", ":443", "[ca.example] []"},
		{"https://CA.example:8443", "10.0.0.1:8443", "[ca.example] [10.0.0.1]"},
		{"https://[2001:db8::1]:8443", "[::]:8443", "[] [2001:db8::1]"},
		{"https://localhost:8443", "127.0.0.1:8443", "[localhost localhost] [127.0.0.1]"},
		{"https://localhost:8443", ":8443", "[localhost] []"},
	} {
		f, err := parse(fmt.Appendf(nil, "trust_domain: example.internal\nadvertise: %q\nlisten: %q\n", c.advertise, c.listen))
		if err != nil {
			t.Fatal(err)
		}
		names := f.Names()
		if got := fmt.Sprint(names.DNS, " ", names.IPs); got != c.want {
			t.Errorf("advertised as %s, listening on %s: got %s, want %s", c.advertise, c.listen, got, c.want)
		}
	}
	f, err := parse([]byte("trust_domain: example.internal\nadvertise: https://ca.example\nnames: [PKI.example, ca.example, 10.0.0.1, \"2001:DB8::1\", 127.0.0.1]\n"))
	if err != nil {
		t.Fatal(err)
	}
	names := f.Names()
	if got, want := fmt.Sprint(names.DNS, " ", names.IPs), "[ca.example localhost pki.example] [127.0.0.1 10.0.0.1 2001:db8::1]"; got != want {
		t.Errorf("with further names: got %s, want %s", got, want)
	}
}

func healthKeys(age time.Duration) map[string]any {
	if age == 0 {
		return map[string]any{"backup_age": "never"}
	}
	return map[string]any{"backup_age": fmt.Sprintf("%dh", age/time.Hour)}
}

func zoneKeys(zone string) map[string]string {
	if zone == "" {
		return nil
	}
	return map[string]string{"zone": zone}
}
