package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// lostKeys returns the keys on record whose files are gone. Those of roots may be kept
// elsewhere.
func lostKeys(tx storage.Tx, source keys.Source) (lost []keys.Key, err error) {
	all, err := Purposes().With(func(s keys.PurposeSpec) bool { return !s.Offline }).List(tx)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if !k.Destroyed.IsZero() {
			continue
		}
		here, err := source.Has(k)
		if err != nil {
			return nil, err
		}
		if !here {
			lost = append(lost, k)
		}
	}
	return lost, nil
}

// makeKeys makes a key in the place of each active key whose file is gone, if the operator
// asked for that. Otherwise the restore is refused: the file may only be in another place,
// and the new keys end what the old ones signed.
func (r *restore) makeKeys(ctx context.Context, db storage.DB) error {
	for _, k := range r.keys.lost {
		if k.State != keys.StateActive {
			continue
		}
		if !r.NewKeys {
			return fmt.Errorf("the backup is of another authority, or the file of its %s key %s is lost: put that file back first; if it is lost for good, --new-keys makes a new key", k.Purpose, k.ID)
		}
		if err := r.makeKey(ctx, db, k); err != nil {
			return fmt.Errorf("making a new %s key: %w", k.Purpose, err)
		}
	}
	return nil
}

// makeKey makes a key like k, with certificates if k is an issuer.
func (r *restore) makeKey(ctx context.Context, db storage.DB, k keys.Key) error {
	spec, err := Purposes().Of(k.Purpose)
	if err != nil {
		return err
	}
	if r.keys.store == nil {
		passphrase, err := r.file.Passphrase(r.AskPassphrase)
		if err != nil {
			return err
		}
		r.keys.store = keyfile.NewStore(r.Dir, passphrase)
	}
	var roots []ca.Root
	if spec.Rotation == keys.ByRoot {
		err := db.View(ctx, func(tx storage.Tx) (err error) { roots, err = r.rootsAbove(tx, k.Purpose); return err })
		if err != nil {
			return err
		}
	}
	at, err := OpenAddress(ctx, db, r.file)
	if err != nil {
		return err
	}
	next := &successor{purpose: k.Purpose, algorithm: k.Algorithm}
	if next.key, _, err = r.keys.store.Generate(k.Purpose, k.Algorithm, r.now); err != nil {
		return err
	}
	r.keys.made = append(r.keys.made, next)
	if len(roots) > 0 {
		next.certificates, err = ca.CertifyIssuer(roots, r.keys.store, r.file.BaseURLAt(at.Current()), next.key, issuerLifetime, r.now)
	}
	return err
}

// rootsAbove returns the roots that certify a new issuer. All their keys must be here, and
// none of them may be compromised.
func (r *restore) rootsAbove(tx storage.Tx, p keys.Purpose) ([]ca.Root, error) {
	roots, err := ca.Above(tx, p)
	if err != nil {
		return nil, err
	}
	for _, root := range roots {
		compromised, err := agents.IssuerCompromised(tx, root.ID)
		if err != nil {
			return nil, err
		}
		since := slices.ContainsFunc(r.past.events, func(e audit.Event) bool {
			return e.Action == audit.KeyCompromise && e.Details != nil && e.Details.From == root.ID
		})
		if compromised || since {
			return nil, fmt.Errorf("the root %s that must certify it is compromised: restore a backup from after that", root.ID)
		}
		here, err := r.keys.store.Has(root.Key)
		if err != nil {
			return nil, err
		}
		if !here {
			return nil, fmt.Errorf("the key of the root %s that must certify it is not here: put its file into %s for the restore", root.ID, r.Dir)
		}
	}
	return roots, nil
}

// replaceKeys records that keys are gone, and the new ones in their place. It ends the
// credentials of an active key that is gone: nothing can sign a list about them any more.
func (r *restore) replaceKeys(tx storage.Tx) error {
	r.out.KeysLost, r.out.KeysMade = nil, nil
	for _, k := range r.keys.lost {
		spec, err := Purposes().Of(k.Purpose)
		if err != nil {
			return err
		}
		if compromised, err := agents.IssuerCompromised(tx, k.ID); err != nil {
			return err
		} else if compromised && k.State == keys.StateRetired {
			continue // as after the destruction of its file
		}
		if k.State == keys.StateActive && spec.Publishes != keys.Nothing {
			err = agents.EndIssuer(tx, k.ID, r.now)
		}
		if err := errors.Join(err, keys.Lose(tx, k.ID, r.now)); err != nil {
			return err
		}
		r.out.KeysLost = append(r.out.KeysLost, k.ID)
	}
	for _, next := range r.keys.made {
		if _, err := Purposes().Record(tx, next.key, keys.StateActive, r.now); err != nil {
			return err
		}
		if err := putAll(tx, next.certificates); err != nil {
			return err
		}
		r.out.KeysMade = append(r.out.KeysMade, next.key.ID)
	}
	return nil
}

// undo destroys the keys of a restore that failed.
func (k restoredKeys) undo() error {
	var errs []error
	for _, next := range k.made {
		errs = append(errs, k.store.Destroy(next.key))
	}
	return errors.Join(errs...)
}
