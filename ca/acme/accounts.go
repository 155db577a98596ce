package acme

import (
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// An Account is one that was opened and was not ended individually. agents.Standing
// says whether it can be used.
type Account struct {
	ID      string      `json:"id"`
	Agent   agents.Name `json:"agent"`
	Created time.Time   `json:"created"`
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

// End ends one account. It cannot be undone.
func End(tx storage.Tx, id string) error {
	a, err := getAccount(tx, id)
	if err != nil {
		return err
	}
	ended := *a
	ended.Status = statusRevoked
	return ended.put(tx)
}
