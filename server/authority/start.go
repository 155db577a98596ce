package authority

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/format"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Start does what must be done before the first answer. It does this even on a full
// disk, because revocation and introspection are needed most in trouble.
func (a *Authority) Start(ctx context.Context) error {
	ctx, now := storage.Urgent(ctx), a.Clock.Now()
	err := a.record(ctx, audit.ServerStart, now, "version "+a.Version, func(tx storage.Tx) error {
		return errors.Join(a.register(tx, now), a.lengthenFormer(tx, now), agents.RecordUses(tx, now), agents.DateKeys(tx, now), a.noteClock(tx)) // what the clock makes of the last record
	})
	if err != nil {
		return fmt.Errorf("registering the server's own names: %w", err)
	}
	at, err := OpenAddress(ctx, a.DB, a.File)
	if err != nil {
		return err
	}
	a.Address.Set(at.List()) // see lengthenFormer
	if err := a.acceptClock(ctx); err != nil {
		return err
	}
	if err := a.destroyCompromised(ctx); err != nil {
		a.Log.Error("a compromised key could not be ended; the next start tries again", "error", err)
	}
	if err := a.CRL.PublishRoots(ctx, false); err != nil {
		a.Log.Error("a root could not sign its CRL; the last one stays", "error", err)
	}
	if _, err := a.CRL.PublishRegular(ctx); err != nil {
		return err
	}
	err = a.Own.Renew(ctx)
	if err != nil && !a.Clock.Shown().Before(a.CA.HTTPSIssuer().NotAfter) {
		a.Log.Error("there is no HTTPS until the issuer is rotated, which the operators' socket is open for", "error", err)
		return nil
	}
	return err
}

// record makes a change for the server itself and says why in the audit log. change
// may be nil.
func (a *Authority) record(ctx context.Context, action audit.Action, now time.Time, why string, change func(storage.Tx) error) error {
	q := policy.Query{Principal: policy.System, Action: action, Subject: string(agents.Authority), Time: now}
	return a.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		done := policy.Done{Reasons: []string{why}}
		if change == nil {
			return done, nil
		}
		return done, change(tx)
	}})
}

// Register enters the server's own names into the registry.
func (a *Authority) Register(tx storage.Tx, names agents.Change, now time.Time) error {
	err := agents.AddAuthority(tx, a.File.TrustDomain, names, now)
	if err != nil {
		return err
	}
	self, err := agents.Get(tx, agents.Authority)
	if err == nil {
		err = ca.CheckPermitted(tx, self.Identifiers)
	}
	if err != nil {
		return fmt.Errorf("the server's names (advertise, listen, names): %w", err)
	}
	return nil
}

// register enters the server's own names into the registry. It also fills the index of
// components, and those of whose a key is, if an older version wrote the store.
func (a *Authority) register(tx storage.Tx, now time.Time) error {
	if err := a.Register(tx, a.NamesOf(a.File), now); err != nil {
		return err
	}
	if err := errors.Join(keys.FillKnown(tx), agents.FillKeyOwners(tx, now)); err != nil {
		return err
	}
	return components.Fill(tx, a.Clock.Earliest(), agents.KeyUses(tx), acme.KeyUses(tx))
}

// CompleteLists completes the agents' lists of recent certificates if an older version wrote
// them, as long as the certificates are on record. From then on that version cannot open the
// store.
func (a *Authority) CompleteLists(ctx context.Context) error {
	var done bool
	err := a.DB.View(ctx, func(tx storage.Tx) (err error) { done, err = agents.ListsComplete(tx); return err })
	if done || err != nil {
		return err
	}
	return a.DB.Update(ctx, func(tx storage.Tx) error {
		filled, err := agents.FillHashes(tx, func(id agents.CredentialID) ([32]byte, error) {
			c, err := ca.Get(tx, id)
			return c.Fingerprint, err
		})
		if err != nil || !filled {
			return err
		}
		return format.Need(tx, format.Details)
	})
}
