package config

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // zones, where the machine has none

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage/keys"
)

func (f *File) readProfiles(n *yaml.Node) error {
	return eachPair(n, func(name string, value *yaml.Node) error {
		var c ca.ProfileConfig
		err := readMap(value, map[string]func(*yaml.Node) error{
			"algorithm":    parsed(&c.Algorithm, keys.ParseAlgorithm),
			"lifetime":     parsed(&c.Lifetime, clock.ParseDuration),
			"max_lifetime": parsed(&c.MaxLifetime, clock.ParseDuration),
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

// LongestCertificate returns the longest that a certificate may live: one of an agent, of the
// server itself, or of an operator if some may have certificates.
func (f *File) LongestCertificate(operators bool) time.Duration {
	longest := ca.ProfileConfig{}.Longest()
	for _, c := range f.Profiles {
		longest = max(longest, c.Longest())
	}
	if operators {
		longest = max(longest, ca.OperatorLifetime)
	}
	return longest
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

// readACME reads how the authority connects to the targets of ACME challenges.
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

// readProxies reads which proxies say who the client is.
func (f *File) readProxies(n *yaml.Node) error {
	return eachItem(n, text(func(s string) error {
		p, err := parseProxy(s)
		if slices.Contains(f.ProxyProtocol, p) {
			return fmt.Errorf("proxy %q comes twice", s)
		}
		f.ProxyProtocol = append(f.ProxyProtocol, p)
		return err
	}))
}

// readCRL reads how long the lists for servers that load a file may be used.
func (f *File) readCRL(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"bundle_lifetime": parsed(&f.CRL.Bundle, parseBundleLifetime),
	})
}

// readAudit reads how the audit log is kept, and where its events go.
func (f *File) readAudit(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"segment": parsed(&f.Audit.Segment, parseSegment),
		"sinks":   f.readSinks,
	})
}

// readTokens reads which audiences get tokens with which kind of signature.
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

// readLimits reads how much an agent may have of each kind.
func (f *File) readLimits(n *yaml.Node) error {
	readers := map[string]func(*yaml.Node) error{}
	for _, k := range agents.QuotaKinds() {
		readers[k.String()] = parsed(&f.Limits[k], parseLimit)
	}
	return readMap(n, readers)
}

// readTelemetry reads where traces of requests go.
func (f *File) readTelemetry(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"otlp": parsed(&f.Telemetry.OTLP, parseCollector),
	})
}

// defaultBackupAge is how old the last backup may be before the status warns.
const defaultBackupAge = 7 * 24 * time.Hour

// readHealth reads when the status warns.
func (f *File) readHealth(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"backup_age": parsed(&f.Health.BackupAge, parseBackupAge),
	})
}

// readPolicy reads what the policies that operators apply need to know.
func (f *File) readPolicy(n *yaml.Node) error {
	return readMap(n, map[string]func(*yaml.Node) error{
		"zone": parsed(&f.Policy.Zone, parseZone),
	})
}

// parseZone accepts the name of a time zone in the IANA database.
func parseZone(s string) (string, error) {
	if _, err := time.LoadLocation(s); err != nil || s == "" || s == "Local" {
		return "", fmt.Errorf("zone %q: want the name of a time zone, such as Europe/Berlin or UTC", s)
	}
	return s, nil
}

// Zone returns the time zone of the policies.
func (f *File) Zone() *time.Location {
	zone, err := time.LoadLocation(f.Policy.Zone)
	if err != nil { // parseZone has loaded it
		return time.UTC
	}
	return zone
}
