package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// A Destruction is what an operator asks for.
type Destruction struct {
	ID string // of the key

	// Compromised, Counts and Agents are as in a [Rotation].
	Compromised bool
	Counts      audit.Counts
	Agents      []string
}

// Key returns the record of a key.
func (a *Authority) Key(ctx context.Context, id string) (k keys.Key, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		k, err = keys.Get(tx, id)
		return err
	})
	return k, err
}

// Destroy destroys the private half of a retired key. It refuses that while something
// that the key signed is alive, unless the key is compromised.
func (a *Authority) Destroy(ctx context.Context, by policy.Principal, d Destruction) error {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	k, err := a.Key(ctx, d.ID)
	if err != nil {
		return err
	}
	now := a.Clock.Now()
	q := policy.Query{Principal: by, Action: audit.KeyDestroy, Subject: string(k.Purpose), Time: now, Details: audit.Details{From: k.ID}}
	if d.Compromised {
		q.Action, q.Details.Counts, q.Details.Agents, ctx = audit.KeyCompromise, &d.Counts, d.Agents, storage.Urgent(ctx)
	}
	return a.discard(ctx, q, k, d.Compromised)
}

// discard records that k is given up, and carries it out.
func (a *Authority) discard(ctx context.Context, q policy.Query, k keys.Key, compromised bool) error {
	spec, err := Purposes().Of(k.Purpose)
	if err != nil {
		return err
	}
	err = a.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		done := policy.Done{Reasons: []string{"key " + k.ID}}
		switch {
		case spec.Rotation == keys.Overlap && compromised:
			return done, fmt.Errorf("%w: the end of a stolen %s is brevet key rotate %[2]s --compromised", agents.ErrTransition, k.Purpose)
		case spec.Rotation == keys.Overlap:
			if err := withdrawn(tx, k); err != nil {
				return done, err
			}
		case compromised:
			if err := destroyable(k); err != nil {
				return done, fmt.Errorf("%w; brevet key rotate %s --compromised ends it", err, k.Purpose)
			}
			return done, agents.EndIssuer(tx, k.ID, q.Time)
		}
		if err := a.spent(tx, k); err != nil {
			return done, err
		}
		_, err := keys.Discard(tx, k.ID, q.Time)
		return done, err
	}})
	switch {
	case err != nil:
		return err
	case compromised:
		return a.destroyCompromised(ctx)
	}
	return a.finishDestroying(ctx)
}

// destroyable returns an error if k is not retired.
func destroyable(k keys.Key) error {
	if k.Removable() != nil {
		return fmt.Errorf("%w: the %s key %s is %s, and only a %s key can be destroyed", agents.ErrTransition, k.Purpose, k.ID, k.State, keys.StateRetired)
	}
	return nil
}

// withdrawn returns an error if a root is not.
func withdrawn(tx storage.Tx, k keys.Key) error {
	roots, err := ca.PublishedRoots(tx)
	if err == nil && slices.ContainsFunc(roots, func(r ca.Root) bool { return r.ID == k.ID }) {
		err = fmt.Errorf("%w: the %s %s is published: brevet key withdraw %[3]s comes first", agents.ErrTransition, k.Purpose, k.ID)
	}
	return err
}

// spent returns an error if something that a retired key signed may be alive.
func (a *Authority) spent(tx storage.Tx, k keys.Key) error {
	if err := destroyable(k); err != nil {
		return err
	}
	until, err := a.aliveUntil(tx, k)
	if err == nil && !until.IsZero() {
		err = fmt.Errorf("%w: what the %s key %s signed is alive until %s, when the key goes by itself; give --compromised if it is stolen", agents.ErrTransition, k.Purpose, k.ID, until.UTC().Format(time.RFC3339))
	}
	return err
}

// aliveUntil returns when the last credential ends that a key signed, or the zero time if
// none is alive.
func (a *Authority) aliveUntil(tx storage.Tx, k keys.Key) (until time.Time, err error) {
	spec, err := Purposes().Of(k.Purpose)
	if err != nil {
		return until, err
	}
	earliest := a.Clock.Earliest()
	switch {
	case spec.Publishes == keys.JWKS: // relying parties may know the key for as long
		if until = k.Retired.Add(tokens.KeptFor); !earliest.Before(until) {
			until = time.Time{}
		}
	case spec.Rotation == keys.ByRoot && earliest.Before(k.Retired.Add(ca.KeptFor)):
		// A regular list has them once more after they have expired.
		const listed = time.Hour
		for c, err := range ca.Since(tx, earliest.Add(-listed)) {
			if err != nil {
				return until, err
			}
			if end := c.ID.Expires().Add(listed); c.Issuer == k.ID && earliest.Before(end) && end.After(until) {
				until = end
			}
		}
	}
	return until, nil
}

// DestroySpent destroys the retired keys of which nothing that they signed is alive.
func (a *Authority) DestroySpent(ctx context.Context) error {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	var found []keys.Key
	err := a.DB.View(ctx, func(tx storage.Tx) error {
		found = nil
		all, err := Purposes().With(func(s keys.PurposeSpec) bool { return s.Rotation != keys.Overlap }).List(tx)
		for _, k := range all {
			if k.State != keys.StateRetired || !k.Destroyed.IsZero() {
				continue
			}
			until, err := a.aliveUntil(tx, k)
			if err != nil {
				return err
			}
			if until.IsZero() {
				found = append(found, k)
			}
		}
		return err
	})
	errs := []error{err}
	for _, k := range found {
		q := policy.Query{Principal: policy.System, Action: audit.KeyDestroy, Subject: string(k.Purpose), Time: a.Clock.Now(), Details: audit.Details{From: k.ID}}
		errs = append(errs, a.discard(ctx, q, k, false))
	}
	return errors.Join(append(errs, a.finishDestroying(ctx))...)
}

// finishDestroying carries out what the records say. Keys of the audit log stay on
// record, to verify its old checkpoints.
func (a *Authority) finishDestroying(ctx context.Context) error {
	var given []keys.Key
	err := a.DB.View(ctx, func(tx storage.Tx) error {
		given = nil
		all, err := Purposes().List(tx)
		for _, k := range all {
			if !k.Destroyed.IsZero() {
				given = append(given, k)
			}
		}
		return err
	})
	errs := []error{err}
	for _, k := range given {
		spec, err := Purposes().Of(k.Purpose)
		if err == nil && spec.Rotation == keys.ByRoot {
			err = a.CA.Reload() // before the key is gone, so that it signs no more
		}
		if err == nil {
			err = a.Keys.Destroy(k)
		}
		if err == nil && spec.Publishes != keys.Nothing {
			err = a.DB.Update(ctx, func(tx storage.Tx) error { return keys.Remove(tx, k.ID) })
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
