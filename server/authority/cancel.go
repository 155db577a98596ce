package authority

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Cancel gives up a key that is announced, or that waits for a certificate of its root, and
// destroys it. An issuer whose CRL is published has signed nothing else. It is retired, and
// [Authority.DestroySpent] destroys it. With an issuer goes the https-issuer that would have
// taken over along, and comes second. The algorithm may be left out if there is one such key.
// Cancel returns no keys if nothing is next.
func (a *Authority) Cancel(ctx context.Context, by policy.Principal, p keys.Purpose, alg keys.Algorithm) ([]keys.Key, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	var gone []keys.Key
	now := a.Clock.Now()
	q := policy.Query{Principal: by, Action: audit.KeyCancel, Subject: string(p), Time: now}
	err := a.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (done policy.Done, err error) {
		if gone, err = cancellable(tx, p, alg); err != nil || len(gone) == 0 {
			done.Reasons = []string{"there was no key to cancel"}
			return done, err
		}
		done.Reasons, done.Details = []string{"key " + gone[0].ID}, &audit.Details{From: gone[0].ID}
		for n, k := range gone {
			if n > 0 {
				done.Reasons = append(done.Reasons, "along with the "+string(k.Purpose)+" "+k.ID)
				done.Details.Change = append(done.Details.Change, audit.FieldChange{Field: string(k.Purpose), From: k.ID})
			}
			if gone[n], err = giveUp(tx, k, now); err != nil {
				return done, err
			}
		}
		return done, nil
	}})
	if err != nil || len(gone) == 0 {
		return nil, err
	}
	for _, k := range gone {
		if !k.SignsFrom.IsZero() {
			continue
		}
		if err := a.Keys.Destroy(k); err != nil {
			return gone, fmt.Errorf("the key is cancelled, and its file is still there: %w", err)
		}
	}
	return gone, a.reload(ctx, p)
}

// giveUp ends a next key. If its CRL is published, that goes on as that of an issuer of before.
func giveUp(tx storage.Tx, k keys.Key, now time.Time) (keys.Key, error) {
	if k.SignsFrom.IsZero() {
		return keys.Cancel(tx, k.ID)
	}
	if err := keys.Retire(tx, k.ID, now); err != nil {
		return k, err
	}
	return keys.Get(tx, k.ID)
}

// cancellable returns the key that is to be cancelled, and what goes along with it.
func cancellable(tx storage.Tx, p keys.Purpose, alg keys.Algorithm) ([]keys.Key, error) {
	k, err := cancelledKey(tx, p, alg)
	if err != nil || k.ID == "" {
		return nil, err
	}
	issuer, sibling, err := nextPair(tx)
	switch {
	case err != nil:
		return nil, err
	case k.ID == issuer.ID:
		return []keys.Key{k, sibling}, nil
	case k.ID == sibling.ID:
		return nil, fmt.Errorf("%w: the next issuer %s needs it: brevet key cancel %s gives both up", agents.ErrTransition, issuer.ID, keys.Issuer)
	}
	return []keys.Key{k}, nil
}

// nextPair returns the next issuer and the https-issuer that it needs, if both were made along: both
// are announced, or both wait for certificates. Otherwise it returns the zero Key twice.
func nextPair(tx storage.Tx) (issuer, sibling keys.Key, err error) {
	var none keys.Key
	issuers, err := nextKeys(tx, keys.Issuer)
	if err != nil || len(issuers) == 0 {
		return none, none, err
	}
	siblings, err := nextKeys(tx, keys.HTTPSIssuer)
	if err != nil || len(siblings) == 0 || siblings[0].SignsFrom.IsZero() != issuers[0].SignsFrom.IsZero() {
		return none, none, err
	}
	if needed, err := needsSibling(tx, keys.Issuer, issuers[0].Algorithm); err != nil || !needed {
		return none, none, err
	}
	return issuers[0], siblings[0], nil
}

// cancelledKey returns the key that is to be cancelled, or the zero Key.
func cancelledKey(tx storage.Tx, p keys.Purpose, alg keys.Algorithm) (keys.Key, error) {
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
