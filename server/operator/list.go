package operator

import (
	"context"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

func (s *Service) listAgents(ctx context.Context, _ policy.Principal, in api.Filter) ([]api.Agent, error) {
	switch agents.State(in.State) {
	case "", agents.Active, agents.Suspended, agents.Decommissioned:
	default:
		return nil, fmt.Errorf("%w state %q: want active, suspended or decommissioned", agents.ErrInvalid, in.State)
	}
	list := []api.Agent{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		now := s.Clock.Now()
		for a, err := range agents.All(tx) {
			if err != nil {
				return err
			}
			if !fits(a, in) {
				continue
			}
			c, err := currentOf(tx, a.Name, now)
			if err != nil {
				return err
			}
			seen := a.Created
			if c.Credential.IssuedAt.After(seen) {
				seen = c.Credential.IssuedAt
			}
			if now.Sub(seen) >= in.Stale {
				list = append(list, s.agent(a, c))
			}
		}
		return nil
	})
	return list, err
}

// fits reports whether the filter chooses the agent. It does not look at Stale,
// and it never chooses the authority itself.
func fits(a agents.Agent, f api.Filter) bool {
	if a.Name == agents.Authority || f.State != "" && f.State != string(a.State) {
		return false
	}
	return selection{Owner: f.Owner, Labels: f.Labels}.chooses(a, agents.Credential{})
}
