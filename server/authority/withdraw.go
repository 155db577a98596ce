package authority

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Withdraw ends the publication of one of two roots of a purpose: of the old one when
// everybody knows the new one, or of a new one that is not wanted after all. It returns
// the root that leads now, and whether that changed anything.
func (a *Authority) Withdraw(ctx context.Context, by policy.Principal, id string) (leading string, changed bool, err error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	k, err := a.Key(ctx, id)
	if err != nil {
		return "", false, err
	}
	q := policy.Query{Principal: by, Action: audit.KeyWithdraw, Subject: string(k.Purpose), Time: a.Clock.Now(), Details: audit.Details{From: id}}
	err = a.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		leading, changed, err = withdraw(tx, id, q.Time)
		return policy.Done{Reasons: []string{"key " + id}, Details: &audit.Details{From: id, To: leading}}, err
	}})
	if err != nil || !changed {
		return leading, false, err
	}
	return leading, true, a.rootsChanged(ctx)
}

// withdraw withdraws a root and lets the other one lead, which it returns. A root that is
// withdrawn already changes nothing.
func withdraw(tx storage.Tx, id string, now time.Time) (leading string, changed bool, err error) {
	k, err := keys.Get(tx, id)
	if err != nil {
		return "", false, err
	}
	if spec, err := Purposes().Of(k.Purpose); err != nil || spec.Rotation != keys.Overlap {
		return "", false, fmt.Errorf("%w key: only a root is withdrawn, and the purpose of %s is %s", agents.ErrInvalid, id, k.Purpose)
	}
	roots, err := ca.PublishedRoots(tx)
	if err != nil {
		return "", false, err
	}
	published := slices.ContainsFunc(roots, func(r ca.Root) bool { return r.ID == id })
	i := slices.IndexFunc(roots, func(r ca.Root) bool { return r.ID != id && r.Key.Purpose == k.Purpose })
	switch {
	case !published && i < 0: // as after a new https-root that was made along is not wanted
		return "", false, nil
	case !published:
		return roots[i].ID, false, nil
	case i < 0:
		return "", false, fmt.Errorf("%w: %s is the only %s; brevet key rotate %[3]s makes another one first", agents.ErrTransition, id, k.Purpose)
	}
	switch other := roots[i].Key; k.State {
	case keys.StateActive:
		if other.State != keys.StateNext {
			return "", false, fmt.Errorf("%w: the %s %s has taken the place of %s, which cannot lead again; brevet key withdraw %[4]s ends the old one", agents.ErrTransition, k.Purpose, id, other.ID)
		}
		err = lead(tx, other.ID, now)
	case keys.StateNext:
		err = retire(tx, k, now)
	}
	if err != nil {
		return "", false, err
	}
	return roots[i].ID, true, ca.WithdrawRoot(tx, id, now)
}

// lead makes a root active. An https-root that was made along with it leads, too, if
// there was none before.
func lead(tx storage.Tx, id string, now time.Time) error {
	k, err := Purposes().PromoteEarly(tx, id, now)
	if err != nil || k.Purpose != keys.Root {
		return err
	}
	https, alone, err := newHTTPSRoot(tx)
	if err == nil && alone {
		_, err = Purposes().PromoteEarly(tx, https.ID, now)
	}
	return err
}

// retire ends a root that has not led yet, with the https-root that was made along.
func retire(tx storage.Tx, k keys.Key, now time.Time) error {
	if err := keys.Retire(tx, k.ID, now); err != nil || k.Purpose != keys.Root {
		return err
	}
	https, alone, err := newHTTPSRoot(tx)
	if err != nil || !alone {
		return err
	}
	if err := keys.Retire(tx, https.ID, now); err != nil {
		return err
	}
	return ca.WithdrawRoot(tx, https.ID, now)
}

// newHTTPSRoot returns the https-root that is published and does not lead, if none does.
func newHTTPSRoot(tx storage.Tx) (k keys.Key, alone bool, err error) {
	active, err := keys.AllActive(tx, keys.HTTPSRoot)
	if err != nil || len(active) > 0 {
		return k, false, err
	}
	return nextKey(tx, keys.HTTPSRoot)
}
