package operator

import (
	"context"
	"fmt"
	"time"

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
		recorded, err := agents.Recorded(tx)
		if err != nil {
			return err
		}
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
			seen, err := s.lastSeen(tx, a, c)
			if err != nil {
				return err
			}
			if now.Sub(latest(seen, a.Created, a.Invited, recorded)) >= in.Stale {
				shown := s.agent(a, c)
				shown.LastSeen = seen
				if _, shown.RolesRemoved, err = heldNow(tx, a, now); err != nil {
					return err
				}
				if _, shown.KeysEnd, err = s.registeredKeys(tx, a); err != nil {
					return err
				}
				list = append(list, shown)
			}
		}
		return nil
	})
	return list, err
}

// lastSeen returns when the agent last used a credential or obtained one, or the zero time
// if that is not on record.
func (s *Service) lastSeen(tx storage.Tx, a agents.Agent, c agents.Current) (time.Time, error) {
	used, err := s.LastUse.Last(tx, a.Name)
	return latest(used, c.Credential.IssuedAt), err
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// fits reports whether the filter chooses the agent. It does not look at Stale,
// and it never chooses the authority itself.
func fits(a agents.Agent, f api.Filter) bool {
	if a.Name == agents.Authority || f.State != "" && f.State != string(a.State) {
		return false
	}
	return selection{Owner: f.Owner, Labels: f.Labels, Role: f.Role}.chooses(a, agents.Credential{})
}
