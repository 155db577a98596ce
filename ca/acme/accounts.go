package acme

import (
	"fmt"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// An Account is one that was opened and was not ended individually. Check says whether
// it can be used.
type Account struct {
	ID       string      `json:"id"`
	Agent    agents.Name `json:"agent"`
	Created  time.Time   `json:"created"`
	Reopened time.Time   `json:"reopened,omitzero"`
	Rekeyed  time.Time   `json:"rekeyed,omitzero"` // when it got the key that it has; zero if it has had no other
}

// uncompromised returns nil if no cutoff for a compromised key covers anything that the
// agent held since the account was first opened.
func (a Account) uncompromised(s *agents.Standing) error {
	compromised, err := s.Compromised(a.Agent, a.Created)
	if err == nil && compromised {
		err = fmt.Errorf("%w: agent %s was cut off for it", errCompromised, a.Agent)
	}
	return err
}

// Holder returns the agent of an account that may be used, unless its key is too old.
func (a Account) Holder(s *agents.Standing) (agents.Agent, error) {
	agent, err := s.CheckHolder(a.Agent, a.Since())
	if err == nil && !a.Reopened.IsZero() {
		err = a.uncompromised(s)
	}
	return agent, err
}

// Check returns the agent of an account that may be used. maxAge is the limit for the age of
// its key if the agent has none of its own.
func (a Account) Check(s *agents.Standing, maxAge time.Duration) (agents.Agent, error) {
	agent, err := a.Holder(s)
	if err == nil {
		err = agent.CheckKeyAge(a.KeySince(), maxAge, s.Now())
	}
	return agent, err
}

// KeySince returns since when the account has its key. Opening it again changes nothing.
func (a Account) KeySince() time.Time {
	if a.Rekeyed.IsZero() {
		return a.Created
	}
	return a.Rekeyed
}

// Since returns when the account was opened, for the last time if it was opened again.
func (a Account) Since() time.Time {
	if a.Reopened.IsZero() {
		return a.Created
	}
	return a.Reopened
}

// summaries are the accounts without their keys: parsing keys is the expensive part.
const summaries = storage.Table[struct {
	Account
	Status string `json:"status"`
}]("acme_accounts")

// Accounts yields the accounts.
func Accounts(tx storage.Tx) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for a, err := range summaries.Scan(tx, "") {
			if err == nil && a.Status != statusValid {
				continue
			}
			if !yield(a.Account, err) {
				return
			}
		}
	}
}

// End ends one account. Only a new external account binding key of its agent can open it
// again, and none can if a key was compromised.
func End(tx storage.Tx, id string, why agents.Reason) error {
	a, err := getAccount(tx, id)
	if err != nil {
		return err
	}
	ended := *a
	ended.Status, ended.Compromised = statusRevoked, ended.Compromised || why == agents.KeyCompromise
	return ended.put(tx)
}
