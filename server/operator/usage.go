package operator

import (
	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// usage returns how much an agent has of each kind, and how much it may have.
func (s *Service) usage(tx storage.Tx, a agents.Agent) (map[string]api.Usage, error) {
	used, err := agents.Used(tx, a.Name, s.Clock.Now())
	if err != nil {
		return nil, err
	}
	quotas := a.QuotasOf(s.Policy.DefaultQuotas())
	all := map[string]api.Usage{}
	for _, k := range agents.QuotaKinds() {
		all[k.String()] = api.Usage{Used: used[k], Quota: quotas[k]}
	}
	return all, nil
}
