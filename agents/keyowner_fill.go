package agents

import (
	"crypto/sha256"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// keyOwnersFilled has its one key once keyOwners has the keys that were certified before there
// was this table.
const keyOwnersFilled = storage.Table[struct{}]("key_owners_filled")

// FillKeyOwners enters the keys of the latest certificates of each agent, once. Older
// certificates expire within their lifetime. Agents that have the same key go on with it if
// their certificates end in different slots; of those in one slot, only the first does.
func FillKeyOwners(tx storage.Tx, now time.Time) error {
	if done, err := keyOwnersFilled.Has(tx, all); done || err != nil {
		return err
	}
	for c, err := range certifiedKeys(tx) {
		if err != nil {
			return err
		}
		if !now.Before(c.expires) {
			continue
		}
		slot := keySlot(c.expires, now)
		known, err := keyOwners.Get(tx, slot, ownerKey(c.hash))
		if errors.Is(err, storage.ErrNotFound) {
			err = keyOwners.Put(tx, slot, ownerKey(c.hash), keyOwner(c.agent))
		} else if err == nil && Name(known) != c.agent {
			continue
		}
		if err != nil {
			return err
		}
	}
	return keyOwnersFilled.Put(tx, all, struct{}{})
}

// A certifiedKey is the key of one of an agent's latest certificates.
type certifiedKey struct {
	agent   Name
	hash    [32]byte
	expires time.Time
}

func certifiedKeys(tx storage.Tx) iter.Seq2[certifiedKey, error] {
	return func(yield func(certifiedKey, error) bool) {
		for list, err := range certified.Scan(tx, "") {
			if err != nil {
				yield(certifiedKey{}, err)
				return
			}
			for e, err := range list.entries() {
				if err != nil {
					yield(certifiedKey{}, err)
					return
				}
				c, hash := e.read()
				if !yield(certifiedKey{c.Credential.Agent, hash, c.Credential.ID.Expires()}, nil) {
					return
				}
			}
		}
	}
}

// SharedKeys returns, for each key that several agents or operators have, their names: in
// registered keys and in latest certificates that have not expired. There are none but those
// from before a key belonged to one agent.
func SharedKeys(tx storage.Tx, now time.Time) (shared [][]Name, err error) {
	owners := map[[32]byte][]Name{}
	note := func(hash [32]byte, n Name) {
		if !slices.Contains(owners[hash], n) {
			owners[hash] = append(owners[hash], n)
		}
	}
	gone := map[Name]bool{}
	for a, err := range table.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		if gone[a.Name] = a.State == Decommissioned; gone[a.Name] {
			continue
		}
		for _, k := range a.Keys {
			note(sha256.Sum256(k), a.Name)
		}
	}
	for c, err := range certifiedKeys(tx) {
		if err != nil {
			return nil, err
		}
		if now.Before(c.expires) && !gone[c.agent] {
			note(c.hash, c.agent)
		}
	}
	for _, names := range owners {
		if len(names) > 1 {
			slices.Sort(names)
			shared = append(shared, names)
		}
	}
	return shared, nil
}
