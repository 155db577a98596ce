package operator

import (
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// registeredKeys returns the registered keys of an agent with their ages, and when the first
// of them is too old.
func (s *Service) registeredKeys(tx storage.Tx, a agents.Agent) (list []api.AgentKey, first time.Time, err error) {
	prints, limit := thumbprints(a), s.Authority.File.KeyMaxAges.OfRegistered()
	for i, k := range a.Keys {
		since, err := agents.KeySince(tx, a, k)
		if err != nil {
			return nil, first, err
		}
		key := api.AgentKey{Thumbprint: prints[i], Since: since, End: a.KeyEnd(since, limit)}
		if first.IsZero() || key.End.Before(first) {
			first = key.End
		}
		list = append(list, key)
	}
	return list, first, nil
}

// acmeKeys returns the keys of ACME accounts of an agent with their ages.
func (s *Service) acmeKeys(a agents.Agent, accounts []acme.Account) (list []api.AgentKey) {
	for _, account := range accounts {
		since := account.KeySince()
		list = append(list, api.AgentKey{Account: account.ID, Since: since, End: a.KeyEnd(since, s.Authority.File.KeyMaxAges.ACME)})
	}
	return list
}
