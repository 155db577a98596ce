package authority

import (
	"context"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Outgoing returns the key that a rotation would replace.
func (a *Authority) Outgoing(ctx context.Context, p keys.Purpose, alg keys.Algorithm) (keys.Key, error) {
	plan, err := a.plan(ctx, p, alg)
	return plan.old, err
}

// lookForRoot finds out whether the root is here that must sign the next issuer. If an
// issuer is compromised and it is not, the issuer is stopped, and the next one waits for its
// certificate. It refuses what cannot be called compromised.
func (r *rotation) lookForRoot(ctx context.Context) error {
	spec, err := Purposes().Of(r.Purpose)
	switch {
	case err != nil:
		return err
	case r.Compromised && spec.Publishes == keys.Nothing:
		return fmt.Errorf("%w purpose: a stolen %s key forges checkpoints, and no credential; rotate it, and compare the log with checkpoints that you keep elsewhere", agents.ErrInvalid, r.Purpose)
	case r.Compromised && r.plan.old.ID == "":
		return fmt.Errorf("%w purpose: there is no %s key yet", agents.ErrInvalid, r.Purpose)
	case spec.Rotation != keys.ByRoot || r.waits || r.certified:
		return nil
	}
	online, err := r.CA.RootOnline(ctx, r.Purpose)
	switch {
	case err != nil || online:
		return err
	case !r.Compromised:
		return fmt.Errorf("%w: the key of the root that must sign the %s is kept elsewhere: brevet key request %[2]s writes what it has to sign", agents.ErrTransition, r.Purpose)
	}
	r.waits = true
	return nil
}

// destroyCompromised destroys the private halves of retired keys that are compromised.
// Before, an issuer signs its last CRL, and its root signs a CRL that revokes it. If a crash
// comes in between, the next start goes on.
func (a *Authority) destroyCompromised(ctx context.Context) error {
	found, err := a.compromised(ctx)
	if err != nil || len(found) == 0 {
		return err
	}
	for _, k := range found {
		spec, err := Purposes().Of(k.Purpose)
		if err != nil {
			return err
		}
		if spec.Rotation != keys.ByRoot {
			continue
		}
		issuer, err := a.CA.Former(ctx, k)
		if err == nil {
			err = a.CRL.PublishLast(ctx, issuer)
		}
		if err != nil {
			return fmt.Errorf("publishing the last CRL of the compromised %s %s: %w", k.Purpose, k.ID, err)
		}
	}
	if err := errors.Join(reloadIssuers(ctx, a), a.Own.Replace(ctx)); err != nil {
		return err
	}
	for _, k := range found {
		if err := a.Keys.Destroy(k); err != nil {
			return err
		}
	}
	return nil
}

// compromised returns the retired keys that are compromised and whose private halves are
// still here.
func (a *Authority) compromised(ctx context.Context) (found []keys.Key, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		found = nil
		all, err := Purposes().List(tx)
		if err != nil {
			return err
		}
		for _, k := range all {
			if k.State != keys.StateRetired {
				continue
			}
			compromised, err := agents.IssuerCompromised(tx, k.ID)
			if err != nil {
				return err
			}
			if compromised {
				found = append(found, k)
			}
		}
		return nil
	})
	var here []keys.Key
	for _, k := range found {
		has, err2 := a.Keys.Has(k)
		if err = errors.Join(err, err2); has {
			here = append(here, k)
		}
	}
	return here, err
}
