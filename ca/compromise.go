package ca

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// uncompromised fails if the key with this hash is in a certificate on record that was
// revoked as compromised, with others. It looks only if the keys of a revocation are
// still to be remembered, and returns the time of that revocation.
func uncompromised(tx storage.Tx, hash [32]byte, now time.Time) (time.Time, error) {
	unsettled, err := agents.Unsettled(tx)
	if err != nil || unsettled.IsZero() {
		return unsettled, err
	}
	standing := agents.NewStanding(tx, now)
	for c, err := range Since(tx, time.Time{}) {
		if err != nil {
			return unsettled, err
		}
		if c.KeyHash != hash {
			continue
		}
		if yes, err := standing.KeyCompromised(c.Credential); err != nil || yes {
			return unsettled, cmp.Or(err, agents.ErrKeyCompromised)
		}
	}
	return unsettled, nil
}

// rememberAtOnce is how many keys one transaction remembers: other writers wait for it.
const rememberAtOnce = 500

// RememberCompromised remembers the keys of the certificates that group revocations ended
// as compromised, as long as the certificates are on record. A revocation by serial
// number needs no call: it remembers its key itself.
func (ca *CA) RememberCompromised(ctx context.Context) error {
	for {
		unsettled, found, err := ca.compromised(ctx)
		if err != nil || unsettled.IsZero() {
			return err
		}
		for some := range slices.Chunk(found, rememberAtOnce) {
			if err := ca.db.Update(ctx, func(tx storage.Tx) error {
				for _, c := range some {
					if err := agents.RememberKey(tx, c.Agent, c.KeyHash, unsettled); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				return err
			}
		}
		if err := ca.db.Update(ctx, func(tx storage.Tx) error { return agents.Settle(tx, unsettled) }); err != nil {
			return err
		}
	}
}

// compromised returns the certificates on record whose keys were revoked as compromised,
// and the time of the latest revocation whose keys are still to be remembered, or the zero
// time.
func (ca *CA) compromised(ctx context.Context) (unsettled time.Time, found []Certificate, err error) {
	err = ca.db.View(ctx, func(tx storage.Tx) (err error) {
		unsettled, found, err = unremembered(tx, ca.clock.Now())
		return err
	})
	return unsettled, found, err
}

// unremembered is compromised in one transaction.
func unremembered(tx storage.Tx, now time.Time) (unsettled time.Time, found []Certificate, err error) {
	if unsettled, err = agents.Unsettled(tx); err != nil || unsettled.IsZero() {
		return unsettled, nil, err
	}
	standing := agents.NewStanding(tx, now)
	for c, err := range Since(tx, time.Time{}) {
		if err != nil {
			return unsettled, nil, err
		}
		yes, err := standing.KeyCompromised(c.Credential)
		if err != nil {
			return unsettled, nil, err
		}
		if yes {
			found = append(found, c)
		}
	}
	late, err := compromisedLate(tx, standing)
	return unsettled, append(found, late...), err
}

// AdoptCompromised remembers the keys that were revoked as compromised in a later state of the
// store, also those that it was still to remember.
func AdoptCompromised(tx, later storage.Tx, now time.Time) error {
	if err := agents.AdoptCompromised(tx, later); err != nil {
		return err
	}
	unsettled, found, err := unremembered(later, now)
	for _, c := range found {
		err = errors.Join(err, agents.AdoptCompromisedKey(tx, c.Agent, c.KeyHash, unsettled))
	}
	return err
}

// compromisedLate returns the certificates whose keys were revoked as compromised among those
// that have expired and may be on record no more: some of them might still have renewed.
func compromisedLate(tx storage.Tx, s *agents.Standing) (found []Certificate, err error) {
	for r, err := range agents.Expired(tx, s.Now()) {
		if err != nil {
			return nil, err
		}
		yes, err := s.KeyCompromisedLate(r)
		if err != nil {
			return nil, err
		}
		if yes {
			found = append(found, Certificate{Credential: r.Credential, KeyHash: r.KeyHash})
		}
	}
	return found, nil
}
