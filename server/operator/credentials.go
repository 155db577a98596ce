package operator

import (
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func (s *Service) credentialOperations() []Operation {
	return []Operation{
		operation(api.IssueCertificate, s.issue),
		operation(api.ListCertificates, s.listCertificates),
		operation(api.ShowCertificate, s.showCertificate),
		operation(api.RevokeCertificate, s.revokeCertificate),
		operation(api.ListTokens, s.listTokens),
		operation(api.RevokeToken, s.revokeToken),
		operation(api.Introspect, s.introspect),
		operation(api.Revoke, s.revoke),
	}
}

// state returns the state of a credential, and what killed it.
func state(s *agents.Standing, c agents.Credential, now time.Time) (string, agents.Cutoff, error) {
	cutoff, dead, err := s.Ended(c)
	switch {
	case err != nil:
		return "", cutoff, err
	case dead:
		return "revoked", cutoff, nil
	case !now.Before(c.ID.Expires()):
		return "expired", agents.Cutoff{}, nil
	}
	return "active", agents.Cutoff{}, nil
}

// past is how far back lists look for credentials that have expired.
const past = 24 * time.Hour

// checkAgent checks the name of an agent by which a list is filtered; "" means all.
func checkAgent(name string) error {
	if name == "" {
		return nil
	}
	_, err := agents.ParseName(name)
	return err
}
