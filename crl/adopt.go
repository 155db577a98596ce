package crl

import (
	"errors"

	"github.com/brevet-ca/brevet/storage"
)

// Lists are those that a store has, of all issuers and roots.
type Lists struct {
	issuers []CRL
	roots   []RootLists
	last    []lastList
}

// ReadLists returns the lists of a store.
func ReadLists(tx storage.Tx) (l Lists, err error) {
	if l.issuers, err = values(tx, table); err != nil {
		return l, err
	}
	if l.roots, err = values(tx, rootTable); err != nil {
		return l, err
	}
	l.last, err = values(tx, lastTable)
	return l, err
}

func values[T any](tx storage.Tx, t storage.Table[T]) (all []T, err error) {
	for v, err := range t.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Adopt stores the lists that a later state of the store has, where their numbers are
// higher. So a root whose key is elsewhere still revokes what it revoked since.
func (l Lists) Adopt(tx storage.Tx) error {
	for _, c := range l.issuers {
		if err := adopt(tx, table, c.Issuer, c, CRL.number); err != nil {
			return err
		}
	}
	for _, r := range l.roots {
		if err := adopt(tx, rootTable, r.Root, r, RootLists.number); err != nil {
			return err
		}
	}
	for _, c := range l.last {
		if err := adopt(tx, lastTable, c.Issuer, c, lastList.number); err != nil {
			return err
		}
	}
	return nil
}

func (c CRL) number() int64       { return c.Number }
func (l RootLists) number() int64 { return l.Number }

func adopt[T any](tx storage.Tx, t storage.Table[T], key string, later T, number func(T) int64) error {
	known, err := t.Get(tx, key)
	switch {
	case errors.Is(err, storage.ErrNotFound), err == nil && number(known) < number(later):
		return t.Put(tx, key, later)
	}
	return err
}
