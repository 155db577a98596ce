package authority

import (
	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// maxNamed bounds how many agents the reasons of one kind name.
const maxNamed = 10

// quotaReasons are about the agents that have nine tenths of a quota.
func (a *Authority) quotaReasons(tx storage.Tx) (found []api.Reason, err error) {
	if a.Policy.DefaultQuotas() == (agents.Quotas{}) {
		return nil, nil
	}
	more, now := 0, a.Clock.Now()
	for agent, err := range agents.All(tx) {
		if err != nil {
			return found, err
		}
		used, err := agents.Used(tx, agent.Name, now)
		if err != nil {
			return found, err
		}
		quotas := agent.QuotasOf(a.Policy.DefaultQuotas())
		for _, k := range agents.QuotaKinds() {
			switch {
			case k == agents.QuotaCompromised && used[k] >= quotas[k]: // agentKeyReasons tells of it
			case used[k] == 0 || used[k] < quotas[k]-quotas[k]/10:
			case len(found) == maxNamed:
				more++
			default:
				found = append(found, warning(quotaNear, "if it needs more, run brevet agent set "+string(agent.Name)+" --quota "+k.String()+"=N",
					"agent %s has %d of %d %s, and at the quota it is refused", agent.Name, used[k], quotas[k], k))
			}
		}
	}
	if more > 0 {
		found = append(found, warning(quotaNear, "see brevet agent show NAME", "%d more quotas are nearly used up", more))
	}
	return found, nil
}

// agentKeyReasons are about agents whose keys were revoked as compromised so often that
// they get no more certificates.
func (a *Authority) agentKeyReasons(tx storage.Tx) (found []api.Reason, err error) {
	many, err := agents.ManyCompromised(tx, a.Policy.DefaultQuotas())
	if err != nil {
		return nil, err
	}
	for i, n := range many {
		if i == maxNamed {
			return append(found, warning(agentKeysRevealed, "see brevet audit list", "many keys of %d more agents were revoked as compromised", len(many)-i)), nil
		}
		found = append(found, warning(agentKeysRevealed, "run brevet agent reenroll "+string(n), "many keys of agent %s were revoked as compromised, and it gets no certificates", n))
	}
	return found, nil
}
