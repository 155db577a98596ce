package cef

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage/audit"
)

var device = Device{TrustDomain: "example.internal", Version: "1.0|x"}

func event(text string) *audit.Event {
	return &audit.Event{
		Seq: 42, Time: time.UnixMilli(1763899200123), Actor: "spiffe://example.internal/agent/bot", Action: audit.CertificateIssue, Subject: text, Decision: audit.Deny,
		Reasons: []string{text, "and=more"}, Request: "0123456789abcdef", Credential: "00ff",
		Details: &audit.Details{Peer: "192.0.2.7", Names: []string{text, "b.example"}, Scopes: []string{"a:b"}, NotAfter: time.Unix(1763899500, 0), File: text,
			Counts: &audit.Counts{Refusals: 7}},
	}
}

func TestEventAsCEF(t *testing.T) {
	got := string(device.Append(nil, event("a|b=c\\d\ne")))
	const want = `CEF:0|brevet|brevet|1.0\|x|certificate.issue|certificate issue denied|6|rt=1763899200123 externalId=42 deviceExternalId=example.internal act=deny outcome=failure ` +
		`cat=certificate.issue suser=spiffe://example.internal/agent/bot duser=a|b\=c\\d\ne reason=a|b\=c\\d\ne; and\=more cs1=00ff cs1Label=credential ` +
		`cs2=0123456789abcdef cs2Label=request src=192.0.2.7 cs4=a|b\=c\\d\ne b.example cs4Label=names cs5=a:b cs5Label=scopes deviceCustomDate1=1763899500000 ` +
		`deviceCustomDate1Label=notAfter fname=a|b\=c\\d\ne cnt=7 cs6={"scopes":["a:b"],"names":["a|b\=c\\\\d\\ne","b.example"],"not_after":"2025-11-23T12:05:00Z","peer":"192.0.2.7",` +
		`"counts":{"refusals":7},"file":"a|b\=c\\\\d\\ne"} cs6Label=details`
	if got != strings.ReplaceAll(want, "2025-11-23T12:05:00Z", time.Unix(1763899500, 0).Format(time.RFC3339)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e := event("")
	e.Details = &audit.Details{Peer: "2001:db8::1"}
	if got := string(device.Append(nil, e)); !strings.Contains(got, " c6a2=2001:db8::1 c6a2Label=Source IPv6 Address ") || strings.Contains(got, " src=") {
		t.Errorf("got %s", got)
	}
}

// dictionary has the keys that the specification knows of those we use, and how many
// characters their values may have.
var dictionary = map[string]int{
	"rt": 20, "externalId": 40, "deviceExternalId": 255, "act": 63, "outcome": 63, "cat": 1023, "suser": 1023, "duser": 1023, "reason": 1023, "src": 16, "fname": 1023, "cnt": 20,
	"c6a2": 45, "c6a2Label": 1023, "deviceCustomDate1": 20, "deviceCustomDate1Label": 1023,
	"cs1": 4000, "cs2": 4000, "cs3": 4000, "cs4": 4000, "cs5": 4000, "cs6": 4000,
	"cs1Label": 1023, "cs2Label": 1023, "cs3Label": 1023, "cs4Label": 1023, "cs5Label": 1023, "cs6Label": 1023,
}

// parse reads an event as the specification says.
func parse(t testing.TB, text string) (fields []string, values map[string]string) {
	rest := text
	for range 7 {
		var field strings.Builder
		for i := 0; ; i++ {
			if i == len(rest) {
				t.Fatalf("%q ends in its header", text)
			}
			if rest[i] == '\\' {
				if i++; rest[i] != '\\' && rest[i] != '|' {
					t.Fatalf("%q escapes %q in its header", text, rest[i])
				}
			} else if rest[i] == '|' {
				fields, rest = append(fields, field.String()), rest[i+1:]
				break
			}
			field.WriteByte(rest[i])
		}
	}
	values = map[string]string{}
	for rest != "" {
		key, after, ok := strings.Cut(rest, "=")
		if !ok || strings.ContainsAny(key, ` \|`) {
			t.Fatalf("%q has the key %q", text, key)
		}
		// The value goes on to the last space before the next key.
		end, space := len(after), -1
		var value strings.Builder
		for i := 0; i < len(after); i++ {
			switch c := after[i]; {
			case c == '\\':
				if i+1 == len(after) || !strings.ContainsRune(`\=nr`, rune(after[i+1])) {
					t.Fatalf("%q has a wrong escape in %s", text, key)
				}
				i++
			case c == ' ':
				space = i
			case c == '=':
				end = space
			}
			if end < len(after) {
				break
			}
		}
		for i := 0; i < end; i++ {
			c := after[i]
			if c == '\\' {
				i++
				c = map[byte]byte{'\\': '\\', '=': '=', 'n': '\n', 'r': '\r'}[after[i]]
			}
			value.WriteByte(c)
		}
		if _, twice := values[key]; twice {
			t.Fatalf("%q has %s twice", text, key)
		}
		values[key], rest = value.String(), strings.TrimPrefix(after[end:], " ")
	}
	return fields, values
}

// FuzzAppend: whatever an event says, a reader finds the known keys with values of the
// allowed length, and those that are short unchanged.
func FuzzAppend(f *testing.F) {
	f.Add("bot")
	f.Add("a|b=c\\d\ne\r\x00 cs1=x ")
	f.Add(strings.Repeat("é=", 3000))
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		got := string(device.Append(nil, event(text)))
		if strings.ContainsAny(got, "\n\r\x00") || !utf8.ValidString(got) {
			t.Fatalf("got %q", got)
		}
		fields, values := parse(t, got)
		if strings.Join(fields[:6], "\t") != "CEF:0\tbrevet\tbrevet\t1.0|x\tcertificate.issue\tcertificate issue denied" {
			t.Errorf("the header is %q", fields)
		}
		for key, value := range values {
			limit, known := dictionary[key]
			if n := utf8.RuneCountInString(value); !known || n > limit || n == 0 {
				t.Errorf("%s has %d characters of %d", key, n, limit)
			}
		}
		if want := clean(text); utf8.RuneCountInString(want) < 1000 && want != values["duser"] {
			t.Errorf("the subject is %q, want %q", values["duser"], want)
		}
		if utf8.RuneCountInString(text) < 100 && !json.Valid([]byte(values["cs6"])) {
			t.Errorf("the details are %q", values["cs6"])
		}
	})
}

// TestLognormReadsCEF has liblognorm, which rsyslog uses, take an event apart.
func TestLognormReadsCEF(t *testing.T) {
	program := peer.Find(t, "lognormalizer")
	rules := filepath.Join(t.TempDir(), "cef.rb")
	if err := os.WriteFile(rules, []byte("version=2\nrule=:%f:cef%\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := event(`a|b\c`)
	cmd := exec.Command(program, "-r", rules, "-e", "json")
	// liblognorm 2.0.6 drops the first character of the extension.
	cmd.Stdin = strings.NewReader(strings.Replace(string(device.Append(nil, e)), "|rt=", "| rt=", 1) + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		F struct {
			DeviceVersion, SignatureID, Name, Severity string
			Extensions                                 map[string]string
		}
	}
	if err := json.Unmarshal(out, &read); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	_, want := parse(t, string(device.Append(nil, e)))
	if read.F.DeviceVersion != device.Version || read.F.SignatureID != "certificate.issue" || read.F.Severity != "6" {
		t.Errorf("read %s", out)
	}
	for key, value := range want {
		if read.F.Extensions[key] != value {
			t.Errorf("%s was read as %q, want %q", key, read.F.Extensions[key], value)
		}
	}
}
