package ca

import (
	"errors"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Certificates returns all certificates of CAs on record: the first one of each CA, then
// those that other roots made later.
func Certificates(tx storage.Tx) (all []Authority, err error) {
	for _, t := range []storage.Table[Authority]{authorities, further} {
		for a, err := range t.Scan(tx, "") {
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// Adopt records the certificates that a later state of the store has. It takes a root only
// if the key of the root is on record, and other certificates only below such a root.
func Adopt(tx storage.Tx, later []Authority) error {
	roots := map[string]bool{} // of the later state
	for _, a := range later {
		if a.ID == a.Root {
			roots[a.ID] = true
			if err := adoptRoot(tx, a); err != nil {
				return err
			}
		}
	}
	for _, a := range later {
		if a.ID == a.Root {
			continue
		}
		above, err := authorities.Has(tx, a.Root)
		if err == nil && above && roots[a.ID] { // a cross-certificate
			above, err = authorities.Has(tx, a.ID)
		}
		if err == nil && above {
			err = adoptIssued(tx, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// adoptRoot leaves a root that is known as it is: whether it is withdrawn depends on
// whether another one is left.
func adoptRoot(tx storage.Tx, a Authority) error {
	if known, err := authorities.Has(tx, a.ID); known || err != nil {
		return err
	}
	_, err := keys.Get(tx, a.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return errors.Join(err, authorities.Put(tx, a.ID, a))
}

// adoptIssued records a certificate that a root signed. It replaces none.
func adoptIssued(tx storage.Tx, a Authority) error {
	first, err := authorities.Get(tx, a.ID)
	if err == nil && first.Root == a.Root {
		return nil
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return PutAuthority(tx, a)
}
