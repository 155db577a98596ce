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

// A takeover makes an announced key active, and with an issuer the https-issuer that was
// announced along.
type takeover struct {
	*Authority
	key      keys.Key
	sibling  keys.Key // or the zero Key
	now      time.Time
	handover handover // to the key
}

func (a *Authority) promoteDue(ctx context.Context, k keys.Key) error {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	t := takeover{Authority: a, key: k, now: a.Clock.Now()}
	q := policy.Query{Principal: policy.System, Action: audit.KeyRotate, Subject: string(k.Purpose), Time: t.now}
	if err := a.Policy.Do(storage.Urgent(ctx), q, policy.Act{Prepare: t.prepare, Change: t.promote}); err != nil {
		return fmt.Errorf("the %s key %s was announced and cannot take over: %w", k.Purpose, k.ID, err)
	}
	return a.reload(ctx, k.Purpose)
}

// prepare looks whether the private halves are here, and has the old key vouch for the new one.
func (t *takeover) prepare(ctx context.Context, _ *policy.Decision) (err error) {
	err = t.DB.View(ctx, func(tx storage.Tx) (err error) {
		t.sibling, err = announcedSibling(tx, t.key)
		return err
	})
	if err != nil {
		return err
	}
	halves := []keys.Key{t.key}
	if t.sibling.ID != "" {
		halves = append(halves, t.sibling)
	}
	if _, err := keys.Signers(t.Keys, halves...); err != nil {
		return err
	}
	t.handover, err = t.handOver(ctx, t.key)
	return err
}

// promote makes the keys active.
func (t *takeover) promote(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done := policy.Done{Reasons: []string{"to " + t.key.ID + ", which was announced at " + t.key.Created.UTC().Format(time.RFC3339)}}
	if err := t.allowed(tx); err != nil {
		return done, err
	}
	if t.sibling.ID != "" {
		done.Reasons = append(done.Reasons, "along with the "+string(t.sibling.Purpose)+" "+t.sibling.ID)
		if _, err := Purposes().Promote(tx, t.sibling.ID, t.now); err != nil {
			return done, err
		}
	}
	if err := t.handover.record(tx, t.key); err != nil {
		return done, err
	}
	_, err := Purposes().Promote(tx, t.key.ID, t.now)
	return done, err
}

// allowed checks again what the key was announced for: a profile or an https-issuer may have gone
// meanwhile.
func (t *takeover) allowed(tx storage.Tx) error {
	spec, err := Purposes().Of(t.key.Purpose)
	if err != nil {
		return err
	}
	old, err := outgoing(tx, spec, t.key.Algorithm)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err := t.keepsProfiles(tx, old, t.key.Algorithm); err != nil {
		return err
	}
	sibling, err := announcedSibling(tx, t.key)
	if err == nil && sibling.ID != t.sibling.ID {
		err = fmt.Errorf("%w: another %s is announced meanwhile", agents.ErrTransition, keys.HTTPSIssuer)
	}
	return err
}

// announcedSibling returns the https-issuer that must take over with an issuer, or the zero Key
// if none must. One that was announced along may have taken over already.
func announcedSibling(tx storage.Tx, k keys.Key) (keys.Key, error) {
	needed, err := needsSibling(tx, k.Purpose, k.Algorithm)
	if err != nil || !needed {
		return keys.Key{}, err
	}
	next, err := nextKeys(tx, keys.HTTPSIssuer)
	if err != nil {
		return keys.Key{}, err
	}
	for _, sibling := range next {
		if !sibling.SignsFrom.IsZero() {
			return sibling, nil
		}
	}
	active, err := keys.Active(tx, keys.HTTPSIssuer)
	if err == nil && !active.Activated.Before(k.Created) {
		return keys.Key{}, nil
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return keys.Key{}, err
	}
	return keys.Key{}, fmt.Errorf("%w: TLS clients cannot check what it signs, and no %s is announced: brevet key cancel %s gives it up", agents.ErrTransition, keys.HTTPSIssuer, k.Purpose)
}
