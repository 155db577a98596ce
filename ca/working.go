package ca

import (
	"context"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Working CA is below a root.
type Working struct {
	Authority
	Purpose keys.Purpose // of the issuer that it is, or that is below it
}

// AtWork returns the CAs below the roots whose certificates agents have or get, without
// those whose keys are compromised.
func (ca *CA) AtWork(ctx context.Context) (found []Working, err error) {
	err = ca.db.View(ctx, func(tx storage.Tx) (err error) {
		found, err = ca.Working(tx)
		return err
	})
	return found, err
}

// Working is AtWork in a transaction.
func (ca *CA) Working(tx storage.Tx) (found []Working, err error) {
	all, _, err := ca.atWork(tx)
	for _, c := range all {
		compromised, err := agents.IssuerCompromised(tx, c.key.ID)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(c.line, Authority.belowRoot); !compromised {
			found = append(found, Working{c.line[i], c.key.Purpose})
		}
	}
	return found, err
}
