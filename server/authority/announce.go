package authority

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// nextKey returns the key of a purpose that is announced, if there is one.
func nextKey(tx storage.Tx, p keys.Purpose) (k keys.Key, found bool, err error) {
	next, err := nextKeys(tx, p)
	if err != nil || len(next) == 0 {
		return k, false, err
	}
	return next[0], true, nil
}

// pending looks for a key that is announced already. A rotation without delay promotes
// it, and any other is refused: there is one successor at a time.
func (r *rotation) pending(ctx context.Context) (found bool, err error) {
	spec, err := Purposes().Of(r.Purpose)
	if err != nil || spec.Announced == 0 {
		return false, err
	}
	var k keys.Key
	err = r.DB.View(ctx, func(tx storage.Tx) (err error) {
		k, found, err = nextKey(tx, r.Purpose)
		return err
	})
	if err != nil || !found {
		return false, err
	}
	if !r.Now || r.Algorithm != "" && r.Algorithm != k.Algorithm {
		return false, fmt.Errorf("%w: the %s key %s (%s) is announced and signs from %s on; brevet key rotate %[2]s --now makes it sign at once, and brevet key cancel %[2]s gives it up",
			agents.ErrTransition, r.Purpose, k.ID, k.Algorithm, spec.SignsFrom(k).UTC().Format(time.RFC3339))
	}
	_, err = r.Keys.Signer(k)
	r.successors[0].key, r.plan.algorithm = k, k.Algorithm
	return true, err
}

// announceKey records the key as the next one. It is published from then on.
func (r *rotation) announceKey(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done, k := r.done(), r.successors[0].key
	spec, err := Purposes().Of(r.Purpose)
	if err != nil {
		return done, err
	}
	if err := errors.Join(r.plain(tx, &done), r.superseded(tx)); err != nil {
		return done, err
	}
	if _, found, err := nextKey(tx, r.Purpose); err != nil {
		return done, err
	} else if found {
		return done, fmt.Errorf("%w: another %s key was announced meanwhile", agents.ErrTransition, r.Purpose)
	}
	done.Reasons = append(done.Reasons, "it signs from "+spec.SignsFrom(k).UTC().Format(time.RFC3339)+" on")
	_, err = Purposes().Record(tx, k, keys.StateNext, r.now)
	return done, err
}

// announceIssuers records the next issuers with their certificates. Their CRLs are published
// from then on.
func (r *rotation) announceIssuers(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done := r.done()
	if err := errors.Join(r.plain(tx, &done), r.superseded(tx)); err != nil {
		return done, err
	}
	for _, next := range r.successors {
		from, err := r.listed(next.purpose)
		if err != nil {
			return done, err
		}
		if err := next.announce(tx, r.now, r.now.Add(from)); err != nil {
			return done, err
		}
		done.Reasons = append(done.Reasons, "it signs from "+r.now.Add(from).UTC().Format(time.RFC3339)+" on")
	}
	return done, nil
}

// listed returns for how long the CRL of a CA is published before the CA signs: as long as a
// file of CRLs may be used, so that every file that is in use has the list.
func (a *Authority) listed(p keys.Purpose) (time.Duration, error) {
	spec, err := Purposes().Of(p)
	if err != nil || spec.Listed == 0 {
		return 0, err
	}
	return max(spec.Listed, a.File.CRL.Bundle), nil
}

// announce publishes an issuer that does not sign yet.
func (next *successor) announce(tx storage.Tx, now, from time.Time) error {
	if next.key.State == "" { // it is not on record
		if _, err := Purposes().Record(tx, next.key, keys.StateNext, now); err != nil {
			return err
		}
	}
	if err := errors.Join(next.onlyOne(tx), certifiedByAll(tx, next)); err != nil {
		return err
	}
	return errors.Join(putAll(tx, next.certificates), keys.Announce(tx, next.key.ID, from))
}

// PromoteDue makes the keys active that were announced for long enough. After a failure,
// which is recorded if it is a refusal, it does nothing for some minutes.
func (a *Authority) PromoteDue(ctx context.Context) error {
	const pause = 5 * time.Minute
	if failed := a.failed.Load(); failed != nil && time.Since(*failed) < pause {
		return nil
	}
	err := a.promoteAllDue(ctx)
	if err != nil {
		a.failed.Store(new(time.Now()))
	}
	return err
}

func (a *Authority) promoteAllDue(ctx context.Context) error {
	var errs []error
	for _, s := range Purposes() {
		if s.Announced == 0 && s.Listed == 0 {
			continue
		}
		var next []keys.Key
		err := a.DB.View(ctx, func(tx storage.Tx) (err error) {
			next, err = nextKeys(tx, s.Purpose)
			return err
		})
		errs = append(errs, err)
		for _, k := range next {
			if waits := s.Listed > 0 && k.SignsFrom.IsZero(); !waits && !a.Clock.Now().Before(s.SignsFrom(k)) {
				errs = append(errs, a.promoteDue(ctx, k))
			}
		}
	}
	return errors.Join(errs...)
}

func (a *Authority) promoteDue(ctx context.Context, k keys.Key) error {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	now := a.Clock.Now()
	q := policy.Query{Principal: policy.System, Action: audit.KeyRotate, Subject: string(k.Purpose), Time: now}
	err := a.Policy.Do(storage.Urgent(ctx), q, policy.Act{
		Prepare: func(context.Context, *policy.Decision) error {
			_, err := a.Keys.Signer(k)
			return err
		},
		Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
			_, err := Purposes().Promote(tx, k.ID, now)
			return policy.Done{Reasons: []string{"to " + k.ID + ", which was announced at " + k.Created.UTC().Format(time.RFC3339)}}, err
		},
	})
	if err != nil {
		return fmt.Errorf("the %s key %s was announced and cannot take over: %w", k.Purpose, k.ID, err)
	}
	return a.reload(ctx, k.Purpose)
}
