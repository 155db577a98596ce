package operator

import (
	"context"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/storage"
)

// Totals are how many agents and credentials an authority has.
type Totals struct {
	Agents       map[string]int // by state
	Certificates int            // that can be used
	Tokens       int            // likewise
	ACMEAccounts int            // likewise
	Orders       map[string]int // of ACME, by state
}

// Count looks at all agents and credentials.
func (s *Service) Count(ctx context.Context) (all Totals, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		now := s.Clock.Now()
		active, err := everything.at(tx, now)
		if err != nil {
			return err
		}
		rc := count(active, now, 0)
		all = Totals{Agents: map[string]int{}, Certificates: rc.Certificates, Tokens: rc.Tokens}
		opened, err := s.accounts(tx, now, func(agents.Agent, time.Time) bool { return true })
		if err != nil {
			return err
		}
		all.ACMEAccounts = len(opened)
		for a, err := range agents.All(tx) {
			if err != nil {
				return err
			}
			if a.Name != agents.Authority {
				all.Agents[string(a.State)]++
			}
		}
		all.Orders, err = acme.CountOrders(tx, now)
		return err
	})
	return all, err
}
