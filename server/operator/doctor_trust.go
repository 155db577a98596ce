package operator

import (
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// longLife is the longest lifetime of certificates that the doctor passes over.
const longLife = 24 * time.Hour

var trustChecks = []check{
	{"crl-late", slowEnds, api.Critical, "lists of revoked certificates that are older than they may get",
		"see brevet status; run brevet crl publish", lateLists},
	{"profile-long", slowEnds, api.Warning, "profiles whose certificates may live for more than a day",
		"lower max_lifetime in brevet.yaml: a program that reads no list accepts a revoked certificate until it ends", longProfiles},
	{"agent-long", slowEnds, api.Warning, "agents whose certificates live for more than a day",
		"run brevet agent set NAME --ttl 1h",
		those(func(_ *examination, p patient) bool { return p.TTL > longLife })},
	{"proxy-wide", looseTrust, api.Warning, "networks of proxy_protocol in brevet.yaml that have more than 256 addresses",
		"list the addresses of the proxies: whoever is in the network says where a request comes from", wideProxies},
	{"root-retired", looseTrust, api.Warning, "old roots that relying parties still trust",
		"when all agents have the new one, run brevet key withdraw ID", rootsThat(func(r ca.Root) bool { return r.Key.State == keys.StateRetired })},
	{"root-foreign", looseTrust, api.Warning, "published roots whose keys are not this authority's",
		"check who has the key; if it is nobody's any more, run brevet key withdraw ID", rootsThat(func(r ca.Root) bool { return r.Key.ID == "" })},
	{"wildcard-names", looseTrust, api.Warning, "agents that have a wildcard name",
		"name the hosts: brevet agent set NAME --dns HOST",
		those(func(_ *examination, p patient) bool {
			return slices.ContainsFunc(p.Identifiers, func(i agents.Identifier) bool { return strings.HasPrefix(i.Value, "*.") })
		})},
	{"key-files", lostKeys, api.Critical, "key files that are missing or not sealed",
		"see brevet status for the command", fromHealth("key-missing", "key-unsealed")},
	{"backup-old", lostKeys, api.Warning, "backups that are older than backup_age, or were never made",
		"run brevet backup FILE each day", fromHealth("backup-old")},
}

func lateLists(e *examination) (found []string, err error) {
	for _, l := range e.s.Authority.CRL.Current() {
		if e.now.Sub(l.ThisUpdate) > crl.Lifetime {
			found = append(found, l.Issuer)
		}
	}
	return found, nil
}

func longProfiles(e *examination) (found []string, err error) {
	for name, p := range e.s.Authority.CA.Profiles() {
		if p.Longest() > longLife {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

func wideProxies(e *examination) (found []string, err error) {
	for _, p := range e.s.Authority.File.ProxyProtocol {
		if p.Addr().BitLen()-p.Bits() > 8 {
			found = append(found, p.String())
		}
	}
	return found, nil
}

func rootsThat(are func(ca.Root) bool) func(*examination) ([]string, error) {
	return func(e *examination) (found []string, err error) {
		roots, err := ca.PublishedRoots(e.tx)
		for _, r := range roots {
			if are(r) {
				found = append(found, r.ID)
			}
		}
		return found, err
	}
}

// fromHealth finds the reasons of the health with these identifiers.
func fromHealth(ids ...string) func(*examination) ([]string, error) {
	return func(e *examination) (found []string, err error) {
		for _, r := range e.reasons {
			if slices.Contains(ids, r.ID) {
				found = append(found, r.Text)
			}
		}
		return found, nil
	}
}

// latency says how long what is revoked now is accepted.
func (s *Service) latency(now time.Time) api.Latency {
	l := api.Latency{
		CRL: crl.Lifetime, Bundle: s.Authority.CRL.BundleLifetime(), Certificate: s.Authority.CA.Longest(),
		RenewGrace: s.Authority.File.RenewGrace, Token: tokens.MaxLifetime,
	}
	for _, list := range s.Authority.CRL.Current() {
		l.CRLAge = max(l.CRLAge, now.Sub(list.ThisUpdate))
	}
	l.CRL, l.Bundle = min(l.CRL, l.Certificate), min(l.Bundle, l.Certificate)
	return l
}
