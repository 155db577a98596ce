package acme

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
)

// lifetimes are the profiles that every directory offers in addition to the
// configured ones: the default profile with this lifetime.
var lifetimes = map[string]time.Duration{
	"5m": 5 * time.Minute, "15m": 15 * time.Minute, "30m": 30 * time.Minute, "1h": time.Hour,
}

// profile returns the certificate profile behind a profile of the directory and the
// lifetime that it asks for; 0 means the agent's default.
func (s *Service) profile(name string) (profile string, ttl time.Duration, ok bool) {
	if name == "" {
		name = ca.DefaultProfile
	}
	if _, ok := s.CA.Profiles()[name]; ok {
		return name, 0, true
	}
	ttl, ok = lifetimes[name]
	return ca.DefaultProfile, ttl, ok
}

// A directory lists the URLs of all endpoints (RFC 8555, section 7.1.1).
type directory struct {
	NewNonce    string        `json:"newNonce"`
	NewAccount  string        `json:"newAccount"`
	NewOrder    string        `json:"newOrder"`
	RevokeCert  string        `json:"revokeCert"`
	KeyChange   string        `json:"keyChange"`
	RenewalInfo string        `json:"renewalInfo"` // RFC 9773, section 4.1
	Meta        directoryMeta `json:"meta"`
}

type directoryMeta struct {
	ExternalAccountRequired bool              `json:"externalAccountRequired"`
	Profiles                map[string]string `json:"profiles"` // draft-ietf-acme-profiles, section 3
}

func (s *Service) serveDirectory(w http.ResponseWriter, r *http.Request) {
	s = s.at(r)
	profiles := map[string]string{}
	for name, lifetime := range lifetimes {
		profiles[name] = "lives for " + clock.FormatDuration(lifetime)
	}
	for name, p := range s.CA.Profiles() {
		profiles[name] = "lives for " + clock.FormatDuration(p.Lifetime) + ", or as registered for the agent"
		if p.Algorithm != "" {
			profiles[name] += "; signed with " + string(p.Algorithm)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	json.NewEncoder(w).Encode(directory{
		NewNonce: s.url("new-nonce"), NewAccount: s.url("new-account"), NewOrder: s.url("new-order"),
		RevokeCert: s.url("revoke-cert"), KeyChange: s.url("key-change"), RenewalInfo: s.url("renewal-info"),
		Meta: directoryMeta{ExternalAccountRequired: true, Profiles: profiles},
	})
}
