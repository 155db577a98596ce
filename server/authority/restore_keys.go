package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// restoredKeys are what a restore finds out about keys. Key files may be newer than the
// backup: keys were rotated, and files were destroyed.
type restoredKeys struct {
	follows bool         // the log of the replaced store goes on after that of the backup
	lost    []keys.Key   // their files are gone
	made    []*successor // in the place of those that were active
	store   keys.Source  // where they are made
}

// A laterState is what the replaced store has of keys and CAs.
type laterState struct {
	keys         []keys.Key
	certificates []ca.Authority
	lists        crl.Lists
	handovers    map[string]handover
	proven       map[string]bool // identifiers of keys that were made after the backup
}

func readLaterState(tx storage.Tx) (l laterState, err error) {
	if l.keys, err = Purposes().List(tx); err != nil {
		return l, err
	}
	if l.certificates, err = ca.Certificates(tx); err != nil {
		return l, err
	}
	if l.handovers, err = readHandovers(tx); err != nil {
		return l, err
	}
	l.lists, err = crl.ReadLists(tx)
	return l, err
}

// takeKeys takes the keys of the replaced store into the backup, if that store can be read,
// and makes the keys that are missing then.
//
// An attacker who can write to the replaced store could add keys to it. So a key that the
// backup does not know is taken only if its file is there and the signed log names it: see
// [restore.provenKeys]. The replaced store says which keys of the backup are retired.
func (r *restore) takeKeys(ctx context.Context, db storage.DB) error {
	source := keyfile.NewStore(r.Dir, keyfile.NoPassphrase)
	if r.keys.follows {
		var later laterState
		err := r.old.View(ctx, func(tx storage.Tx) (err error) { later, err = readLaterState(tx); return err })
		if err != nil {
			return fmt.Errorf("reading the keys of the replaced store: %w", err)
		}
		var unsigned error
		later.proven, unsigned = r.provenKeys(ctx, db)
		if err := db.Update(ctx, func(tx storage.Tx) error { return r.adopt(tx, later, source) }); err != nil {
			return fmt.Errorf("taking the keys of the replaced store: %w", err)
		}
		if unsigned != nil && len(r.out.Unproven) > 0 {
			r.out.Unsigned = unsigned.Error()
		}
	}
	err := db.View(ctx, func(tx storage.Tx) (err error) {
		r.keys.lost, err = lostKeys(tx, source)
		return err
	})
	if err != nil {
		return err
	}
	return r.makeKeys(ctx, db)
}

// adopt takes the later keys of each purpose, the roots first, because they certify issuers.
func (r *restore) adopt(tx storage.Tx, later laterState, source keys.Source) error {
	r.out.KeysTaken, r.out.Unproven = nil, nil
	overlap := func(s keys.PurposeSpec) bool { return s.Rotation == keys.Overlap }
	for _, roots := range []bool{true, false} {
		for _, spec := range Purposes().With(func(s keys.PurposeSpec) bool { return overlap(s) == roots }) {
			if err := r.adoptPurpose(tx, later, spec, source); err != nil {
				return err
			}
		}
		if err := ca.Adopt(tx, later.certificates); err != nil {
			return err
		}
	}
	return errors.Join(adoptHandovers(tx, later.handovers), later.lists.Adopt(tx))
}

// adoptPurpose takes the later keys of a purpose, unless one of them could not work here.
// Then the keys stay those of the backup.
func (r *restore) adoptPurpose(tx storage.Tx, later laterState, spec keys.PurposeSpec, source keys.Source) error {
	known, err := keys.List(tx, spec.Purpose)
	if err != nil {
		return err
	}
	var take []keys.Key
	for _, k := range later.keys {
		if k.Purpose != spec.Purpose {
			continue
		}
		i := slices.IndexFunc(known, func(o keys.Key) bool { return o.ID == k.ID })
		if i >= 0 && known[i].State == k.State && known[i].Destroyed.Equal(k.Destroyed) {
			continue
		}
		here, err := source.Has(k)
		if i < 0 && here && !later.proven[k.ID] {
			r.out.Unproven, here = append(r.out.Unproven, k.ID), false
		}
		if err == nil && here && k.State == keys.StateActive && spec.Rotation == keys.ByRoot {
			here, err = certified(tx, k, later.certificates)
		}
		if err != nil {
			return err
		}
		switch needed := k.State == keys.StateActive || k.State == keys.StateNext && (spec.Offline || !k.SignsFrom.IsZero()); {
		case here || i >= 0 && (spec.Offline || k.State == keys.StateRetired):
			take = append(take, k)
		case needed:
			return nil
		}
	}
	for _, k := range take {
		if err := keys.Adopt(tx, k); err != nil {
			return err
		}
	}
	if len(take) > 0 {
		r.out.KeysTaken = append(r.out.KeysTaken, string(spec.Purpose))
	}
	return r.forget(tx, known, later.keys)
}

// certified reports whether a root that is published here certified an issuer.
func certified(tx storage.Tx, k keys.Key, certificates []ca.Authority) (bool, error) {
	roots, err := ca.PublishedRoots(tx)
	return slices.ContainsFunc(certificates, func(c ca.Authority) bool {
		return c.ID == k.ID && slices.ContainsFunc(roots, func(r ca.Root) bool { return r.ID == c.Root })
	}), err
}

// forget gives up keys of one purpose that the replaced store had forgotten after it had
// destroyed them.
func (r *restore) forget(tx storage.Tx, known, later []keys.Key) error {
	for _, k := range known {
		if slices.ContainsFunc(later, func(l keys.Key) bool { return l.ID == k.ID }) {
			continue
		}
		another := slices.ContainsFunc(later, func(l keys.Key) bool { return l.Purpose == k.Purpose && l.State == keys.StateActive })
		if k.State == keys.StateActive && !another {
			continue
		}
		if err := keys.Lose(tx, k.ID, r.now); err != nil {
			return err
		}
	}
	return nil
}
