package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// waitingKeys returns the keys of issuers that wait for a certificate. If there is one in
// whose place a new key would come, and no algorithm is asked for, that of the waiting key
// is.
func (r *rotation) waitingKeys(ctx context.Context) (found []keys.Key, err error) {
	err = r.DB.View(ctx, func(tx storage.Tx) error {
		found = nil
		for _, s := range Purposes().With(func(s keys.PurposeSpec) bool { return s.Rotation == keys.ByRoot }) {
			next, err := nextKeys(tx, s.Purpose)
			if err != nil {
				return err
			}
			found = append(found, next...)
		}
		return nil
	})
	for _, k := range found {
		if k.Purpose == r.Purpose && r.Purpose != keys.ProfileIssuer && r.Algorithm == "" && !r.Compromised {
			r.Algorithm = k.Algorithm
		}
	}
	return found, err
}

// take uses a key that waits as the successor. After a compromise it does not: a thief of
// the old key may have that one, too, so it is cancelled. One that is announced must wait for
// longer, unless the operator wants it now.
func (r *rotation) take(next *successor, waiting []keys.Key) error {
	for _, k := range waiting {
		switch {
		case k.Purpose != next.purpose || next.purpose == keys.ProfileIssuer && k.Algorithm != next.algorithm:
		case r.Compromised:
			r.cancelled = append(r.cancelled, k)
		case k.Algorithm != next.algorithm:
			return fmt.Errorf("%w: the %s key %s (%s) is next: brevet key cancel %[2]s gives it up", agents.ErrTransition, k.Purpose, k.ID, k.Algorithm)
		case !r.Now && !r.waits && r.now.Before(k.SignsFrom):
			return fmt.Errorf("%w: the %s key %s (%s) is announced and signs from %s on; brevet key rotate %[2]s --now makes it sign at once, and brevet key cancel %[2]s gives it up",
				agents.ErrTransition, k.Purpose, k.ID, k.Algorithm, k.SignsFrom.UTC().Format(time.RFC3339))
		default:
			next.key = k
		}
	}
	return nil
}

// takeSibling has a compromise of the issuer end the https-issuer, too, that the next issuer
// would have needed.
func (r *rotation) takeSibling(ctx context.Context) error {
	if !r.Compromised || r.Purpose != keys.Issuer {
		return nil
	}
	return r.DB.View(ctx, func(tx storage.Tx) error {
		_, sibling, err := nextPair(tx)
		if sibling.ID != "" && !slices.ContainsFunc(r.cancelled, func(k keys.Key) bool { return k.ID == sibling.ID }) {
			r.cancelled = append(r.cancelled, sibling)
		}
		return err
	})
}

// cancel forgets the waiting keys that a compromise ends.
func (r *rotation) cancel(tx storage.Tx) error {
	for _, k := range r.cancelled {
		if !k.SignsFrom.IsZero() { // it is published: relying parties must learn that it is dead
			if err := errors.Join(keys.Retire(tx, k.ID, r.now), agents.EndIssuer(tx, k.ID, r.now)); err != nil {
				return err
			}
			continue
		}
		if _, err := keys.Cancel(tx, k.ID); err != nil {
			return err
		}
	}
	return nil
}

// discardNext destroys keys that were cancelled in a transaction.
func (a *Authority) discardNext(cancelled []keys.Key) error {
	for _, k := range cancelled {
		if !k.SignsFrom.IsZero() {
			continue // destroyCompromised does more
		}
		k.State = ""
		if err := a.Keys.Destroy(k); err != nil {
			return err
		}
	}
	return nil
}
