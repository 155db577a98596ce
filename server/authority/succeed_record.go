package authority

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// change publishes the new root, lets it lead, or has it take the place of the old one.
func (r *rootRotation) change(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done := r.done()
	if err := r.unchanged(tx); err != nil {
		return done, err
	}
	for _, next := range r.successors {
		if next.key.State == "" {
			if err := next.record(tx, r.now); err != nil {
				return done, err
			}
		}
	}
	if !r.Now && !r.Compromised {
		return done, nil
	}
	if err := lead(tx, r.id(), r.now); err != nil || !r.Compromised {
		return done, err
	}
	return done, errors.Join(ca.WithdrawRoot(tx, r.old.ID, r.now), agents.EndIssuer(tx, r.old.ID, r.now))
}

// unchanged fails if other roots or issuers are at work than when the certificates were made.
func (r *rootRotation) unchanged(tx storage.Tx) error {
	meanwhile := fmt.Errorf("%w: other keys are at work meanwhile; try again", agents.ErrTransition)
	again := rootRotation{rotation: rotation{Rotation: r.Rotation}}
	if err := again.look(tx); err != nil {
		return err
	}
	if again.old.ID != r.old.ID || again.pending != r.pending || r.pending && again.id() != r.id() {
		return meanwhile
	}
	if r.pending {
		return nil
	}
	working, err := r.CA.Working(tx)
	if err != nil {
		return err
	}
	for _, w := range working {
		if !slices.ContainsFunc(r.working, func(k ca.Working) bool { return k.ID == w.ID }) {
			return meanwhile
		}
	}
	return nil
}

// record adds a key that was just made. A root is published; an https-issuer signs at once.
func (next *successor) record(tx storage.Tx, now time.Time) error {
	if next.purpose == keys.HTTPSIssuer {
		return next.promote(tx, false, now)
	}
	if _, err := Purposes().Record(tx, next.key, keys.StateNext, now); err != nil {
		return err
	}
	return putAll(tx, next.certificates)
}

// certifiedByAll fails if a root was published or withdrawn since an issuer's certificates were made.
func certifiedByAll(tx storage.Tx, next *successor) error {
	if len(next.certificates) == 0 {
		return nil
	}
	roots, err := ca.Above(tx, next.purpose)
	if err != nil {
		return err
	}
	for _, r := range roots {
		if !slices.ContainsFunc(next.certificates, func(c ca.Authority) bool { return c.Root == r.ID }) {
			return fmt.Errorf("%w: another root is published meanwhile; try again", agents.ErrTransition)
		}
	}
	return nil
}

func putAll(tx storage.Tx, certificates []ca.Authority) error {
	var errs []error
	for _, c := range certificates {
		errs = append(errs, ca.PutAuthority(tx, c))
	}
	return errors.Join(errs...)
}
