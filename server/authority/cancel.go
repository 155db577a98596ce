package authority

import (
	"context"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Cancel gives up a key that is announced, or that waits for a certificate of its root, and
// destroys it. An issuer whose CRL is published has signed nothing else. It is retired, and
// [Authority.DestroySpent] destroys it. The algorithm may be left out if there is one such
// key. Without one, Cancel returns the zero Key.
func (a *Authority) Cancel(ctx context.Context, by policy.Principal, p keys.Purpose, alg keys.Algorithm) (keys.Key, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	var k keys.Key
	q := policy.Query{Principal: by, Action: audit.KeyCancel, Subject: string(p), Time: a.Clock.Now()}
	err := a.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (done policy.Done, err error) {
		if k, err = cancellable(tx, p, alg); err != nil || k.ID == "" {
			done.Reasons = []string{"there was no key to cancel"}
			return done, err
		}
		done.Reasons, done.Details = []string{"key " + k.ID}, &audit.Details{From: k.ID}
		if !k.SignsFrom.IsZero() { // its CRL is published, and goes on as that of an issuer of before
			if err = keys.Retire(tx, k.ID, a.Clock.Now()); err == nil {
				k, err = keys.Get(tx, k.ID)
			}
			return done, err
		}
		k, err = keys.Cancel(tx, k.ID)
		return done, err
	}})
	if err != nil || k.ID == "" {
		return k, err
	}
	if !k.SignsFrom.IsZero() {
		return k, a.reload(ctx, p)
	}
	if err := a.Keys.Destroy(k); err != nil {
		return k, fmt.Errorf("the key is cancelled, and its file is still there: %w", err)
	}
	return k, a.reload(ctx, p)
}

// cancellable returns the key that is to be cancelled, or the zero Key if no key waits.
func cancellable(tx storage.Tx, p keys.Purpose, alg keys.Algorithm) (keys.Key, error) {
	spec, err := Purposes().Of(p)
	if err != nil {
		return keys.Key{}, err
	}
	if spec.Rotation != keys.Plain && spec.Rotation != keys.ByRoot {
		return keys.Key{}, fmt.Errorf("%w purpose: a %s key cannot be cancelled", agents.ErrInvalid, p)
	}
	next, err := nextKeys(tx, p)
	waiting := len(next)
	if alg != "" {
		next = slices.DeleteFunc(next, func(k keys.Key) bool { return k.Algorithm != alg })
	}
	switch {
	case err != nil:
		return keys.Key{}, err
	case waiting == 0:
		return keys.Key{}, nil
	case len(next) == 0:
		return keys.Key{}, fmt.Errorf("%w: no %s key is %s that has algorithm %s: see brevet key list", agents.ErrTransition, p, keys.StateNext, alg)
	case len(next) > 1:
		return keys.Key{}, fmt.Errorf("%w algorithm: there are %d %s keys; say with --algorithm which is meant", agents.ErrInvalid, len(next), p)
	}
	return next[0], nil
}

// nextKeys returns the keys of a purpose that are announced or wait for a certificate.
func nextKeys(tx storage.Tx, p keys.Purpose) ([]keys.Key, error) {
	all, err := keys.List(tx, p)
	return slices.DeleteFunc(all, func(k keys.Key) bool { return k.State != keys.StateNext }), err
}
