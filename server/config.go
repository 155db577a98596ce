package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/storage/keys"
)

// The files in an authority's directory.
const (
	configFile = "brevet.yaml"
	storeFile  = "brevet.db"
	socketFile = "admin.sock"
)

// A File is what brevet.yaml says: facts of the process. All that changes
// while it runs is in the store.
type File struct {
	TrustDomain agents.TrustDomain
	Advertise   string // https URL that agents and resource servers use; the issuer of tokens
	Listen      string // address for HTTPS
	ListenHTTP  string // address for what is public and signed: CRLs, OCSP and issuers
	Profiles    map[string]ca.ProfileConfig
	Keys        struct {
		Plain          bool   // the operator chose not to seal key files
		PassphraseFile string // see keys.ReadPassphrase
	}
	Log struct {
		Level slog.Level
		JSON  bool
	}
	ACME   acme.ChallengeConfig
	Tokens struct {
		PostQuantum []string // audiences, see tokens.Config
	}
}

const maxConfig = 1 << 20

// ReadFile reads the brevet.yaml of an authority's directory.
func ReadFile(dir string) (*File, error) {
	path := filepath.Join(dir, configFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no authority in %s: make one with brevet init, or name its directory with --dir", dir)
	}
	if err != nil {
		return nil, err
	}
	f, err := ParseFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return f, nil
}

// ParseFile reads the text of a brevet.yaml. What it does not know is an error
// that begins with line and column.
func ParseFile(text []byte) (*File, error) {
	f := &File{Listen: "127.0.0.1:8443", ListenHTTP: "127.0.0.1:8080", Profiles: map[string]ca.ProfileConfig{}}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("1:1: the file has more than %d bytes", maxConfig)
	}
	top, err := readDocument(text)
	if err != nil {
		return nil, err
	}
	err = readMap(top, map[string]func(*yaml.Node) error{
		"trust_domain": parsed(&f.TrustDomain, agents.ParseTrustDomain),
		"advertise":    parsed(&f.Advertise, parseAdvertise),
		"listen":       parsed(&f.Listen, parseAddress),
		"listen_http":  parsed(&f.ListenHTTP, parseAddress),
		"profiles":     f.readProfiles,
		"keys":         f.readKeys,
		"log":          f.readLog,
		"acme":         f.readACME,
		"tokens":       f.readTokens,
	})
	if err != nil {
		return nil, err
	}
	if f.TrustDomain == "" || f.Advertise == "" {
		return nil, at(top, errors.New("trust_domain and advertise must be there"))
	}
	if err := f.checkNames(); err != nil {
		return nil, at(top, err)
	}
	return f, nil
}

// checkNames refuses names that the server could not have a certificate for.
func (f *File) checkNames() error {
	for _, name := range f.names().DNS {
		id, err := agents.ParseDNS(name)
		if err == nil {
			err = agents.CheckDomain(f.TrustDomain, agents.Authority, id)
		}
		if err != nil {
			return fmt.Errorf("advertise and listen: %w; the server may have the name %s, or one outside of the trust domain", err, f.TrustDomain.Host(agents.Authority))
		}
	}
	return nil
}

func (f *File) readProfiles(n *yaml.Node) error {
	return eachPair(n, func(name string, value *yaml.Node) error {
		var c ca.ProfileConfig
		err := readMap(value, map[string]func(*yaml.Node) error{
			"algorithm":    parsed(&c.Algorithm, keys.ParseAlgorithm),
			"lifetime":     parsed(&c.Lifetime, parseLifetime),
			"max_lifetime": parsed(&c.MaxLifetime, parseLifetime),
		})
		if err != nil {
			return err
		}
		if _, err := ca.NewProfile(name, c); err != nil {
			return at(value, err)
		}
		f.Profiles[name] = c
		return nil
	})
}

func (f *File) readKeys(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"plain":           parsed(&f.Keys.Plain, parsePlain),
		"passphrase_file": text(func(s string) error { f.Keys.PassphraseFile = s; return nil }),
	})
}

func (f *File) readLog(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"level": text(func(s string) error {
			if f.Log.Level.UnmarshalText([]byte(s)) != nil {
				return fmt.Errorf("level %q: want debug, info, warn or error", s)
			}
			return nil
		}),
		"format": text(func(s string) error {
			if s != "json" && s != "text" {
				return fmt.Errorf("format %q: want json or text", s)
			}
			f.Log.JSON = s == "json"
			return nil
		}),
	})
}

// readACME reads how the authority reaches what ACME challenges are about.
func (f *File) readACME(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"resolver":  parsed(&f.ACME.Resolver, parseResolver),
		"http_port": parsed(&f.ACME.HTTPPort, parsePort),
		"tls_port":  parsed(&f.ACME.TLSPort, parsePort),
		"allow": func(n *yaml.Node) error {
			return eachItem(n, text(func(s string) error {
				p, err := parsePrefix(s)
				f.ACME.Allow = append(f.ACME.Allow, p)
				return err
			}))
		},
	})
}

// readTokens reads how access tokens are signed for whom.
func (f *File) readTokens(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"post_quantum": func(n *yaml.Node) error {
			return eachItem(n, text(func(s string) error {
				audience, err := agents.ParseAudience(s)
				if slices.Contains(f.Tokens.PostQuantum, audience) {
					return fmt.Errorf("audience %q comes twice", audience)
				}
				f.Tokens.PostQuantum = append(f.Tokens.PostQuantum, audience)
				return err
			}))
		},
	})
}

// parseResolver accepts an address only: to look up a name it would have to be
// asked itself.
func parseResolver(s string) (string, error) {
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Port() == 0 || a.Addr().Zone() != "" {
		return "", fmt.Errorf("resolver %q: want the IP:PORT of a DNS server", s)
	}
	return a.String(), nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q: want 1 to 65535", s)
	}
	return int(n), nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("prefix %q: want IP/BITS, such as 127.0.0.0/8", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("prefix %q: write it as %s", s, p.Masked())
	}
	return p, nil
}

func parsePlain(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("plain %q: want true or false", s)
	}
	return s == "true", nil
}

func parseLifetime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("duration %q: want one such as 5m or 1h", s)
	}
	return d, nil
}

// parseAdvertise accepts the https URL of an origin, at a host that can stand
// in a certificate. As the issuer of tokens it has neither query nor fragment
// (RFC 8414, section 2).
func parseAdvertise(s string) (string, error) {
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("advertise %q: want https://HOST or https://HOST:PORT", s)
	}
	if _, err := agents.ParseDNS(u.Hostname()); err != nil {
		if _, err := agents.ParseIP(u.Hostname()); err != nil {
			return "", fmt.Errorf("advertise %q: want https://HOST:PORT with a name or address under which others reach this server", s)
		}
	}
	return "https://" + u.Host, nil
}

func parseAddress(s string) (string, error) {
	if _, _, err := net.SplitHostPort(s); err != nil {
		return "", fmt.Errorf("address %q: want HOST:PORT", s)
	}
	return s, nil
}

// passphrase returns what unseals the key files: from the file named, from
// systemd's credentials, or none if the operator chose so.
func (f *File) passphrase() (keys.Passphrase, error) {
	switch {
	case f.Keys.Plain && f.Keys.PassphraseFile != "":
		return keys.Passphrase{}, errors.New("keys: plain and a passphrase file exclude each other")
	case f.Keys.Plain:
		return keys.NoPassphrase, nil
	case f.Keys.PassphraseFile != "":
		return keys.ReadPassphrase(f.Keys.PassphraseFile)
	}
	p, err := keys.FromCredentials()
	if errors.Is(err, os.ErrNotExist) {
		return p, errors.New("the keys need a passphrase: give --passphrase-file FILE (or fd:N), or the systemd credential brevet-passphrase; only brevet init --no-passphrase does without")
	}
	return p, err
}

// baseURL returns where what is served over plain HTTP is published: the
// advertised host, at the port of that listener.
func (f *File) baseURL() string {
	u, _ := url.Parse(f.Advertise)
	_, port, _ := net.SplitHostPort(f.ListenHTTP)
	if port == "80" {
		return "http://" + strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return "http://" + net.JoinHostPort(u.Hostname(), port)
}
