package operator

import (
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/storage"
)

// accounts returns the ACME accounts that may be used now and that chosen accepts,
// given their agent and when they were opened for the last time.
func (s *Service) accounts(tx storage.Tx, now time.Time, chosen func(agents.Agent, time.Time) bool) ([]acme.Account, error) {
	var found []acme.Account
	standing := agents.NewStanding(tx, now)
	for account, err := range acme.Accounts(tx) {
		if err != nil {
			return nil, err
		}
		a, err := account.Check(standing, s.Authority.File.KeyMaxAges.ACME)
		switch {
		case policy.IsDenial(err):
		case err != nil:
			return nil, err
		case chosen(a, account.Since()):
			found = append(found, account)
		}
	}
	return found, nil
}

// choosesAccount is chooses for an account.
func (s selection) choosesAccount(a agents.Agent, created time.Time) bool {
	return s.chooses(a, agents.Credential{IssuedAt: created})
}

// endAccounts ends the accounts one by one, if no cutoff ends them.
func (s selection) endAccounts(tx storage.Tx, chosen []acme.Account, why agents.Reason) error {
	if s.IssuedSince.IsZero() {
		return nil
	}
	for _, a := range chosen {
		if err := acme.End(tx, a.ID, why); err != nil {
			return err
		}
	}
	return nil
}
