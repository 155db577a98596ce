package operator

import (
	"fmt"

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
	quotas := a.QuotasOf(s.Policy.Quotas)
	all := map[string]api.Usage{}
	for _, k := range agents.QuotaKinds() {
		all[k.String()] = api.Usage{Used: used[k], Quota: quotas[k]}
	}
	return all, nil
}

// maxNamed bounds how many agents the warnings about quotas name.
const maxNamed = 10

// nearQuotas returns a warning for each agent that has nine tenths of a quota.
func (s *Service) nearQuotas(tx storage.Tx) (warnings []string, err error) {
	more := 0
	for a, err := range agents.All(tx) {
		if err != nil {
			return nil, err
		}
		all, err := s.usage(tx, a)
		if err != nil {
			return nil, err
		}
		for _, k := range agents.QuotaKinds() {
			u := all[k.String()]
			switch {
			case k == agents.QuotaCompromised && u.Used >= u.Quota: // the status tells of it
			case u.Used == 0 || u.Used < u.Quota-u.Quota/10 || s.Policy.Quotas == (agents.Quotas{}):
			case len(warnings) == maxNamed:
				more++
			default:
				warnings = append(warnings, fmt.Sprintf("agent %s has %d of %d %s: at the quota it is refused; if it needs more, run brevet agent set %[1]s --quota %[4]s=N", a.Name, u.Used, u.Quota, k))
			}
		}
	}
	if more > 0 {
		warnings = append(warnings, fmt.Sprintf("%d more quotas are nearly used up: brevet agent show NAME", more))
	}
	return warnings, nil
}
