package components

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// The index has an entry for each component key of a composite that is registered
// or certified, and for each other key that is registered. It has none for other
// certified keys: that would cost every issuance a write. The [Census] has those.

// table holds the entry of each component key, by its SHA-256.
const table = storage.Table[entry]("components")

// An entry says which key contains a component key. It is stored as JSON: fields may
// be added, and none changes its meaning. The entry is live until nobody has the
// key registered and its last certificate has expired. Revoking the certificate makes no
// difference: a compromised key must not become half of another one.
type entry struct {
	Whole   []byte    `json:"whole"`
	Until   time.Time `json:"until,omitzero"`    // when the last certificate expires
	Holders []string  `json:"holders,omitempty"` // agents and accounts that have the key registered
}

func (e entry) live(now time.Time) bool { return len(e.Holders) > 0 || now.Before(e.Until) }

// ids returns the names of the key's entries. A key that is not composite is its own
// only component.
func (k Key) ids() [][sha256.Size]byte {
	if len(k.Halves) == 0 {
		return [][sha256.Size]byte{k.Whole}
	}
	return k.Halves
}

// find returns the entry of a component of k. Without a live entry, it returns a zero
// one. It fails with [ErrShared] if the component is in another key.
func (k Key) find(tx storage.Tx, id [sha256.Size]byte, now time.Time) (entry, error) {
	known, err := table.Get(tx, string(id[:]))
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return entry{}, nil
	case err != nil:
		return entry{}, err
	case bytes.Equal(known.Whole, k.Whole[:]):
		return known, nil
	case known.live(now):
		return entry{}, ErrShared
	}
	return entry{}, nil
}

// Holders returns the agents and accounts that have the key registered.
func (k Key) Holders(tx storage.Tx) ([]string, error) {
	id := k.ids()[0]
	known, err := table.Has(tx, string(id[:])) // it rarely is, and Get makes an error of that
	if err != nil || !known {
		return nil, err
	}
	e, err := table.Get(tx, string(id[:]))
	if err != nil || !bytes.Equal(e.Whole, k.Whole[:]) {
		return nil, err
	}
	return e.Holders, nil
}

// put stores the entry of a component of k, or deletes it if it is not live.
func (k Key) put(tx storage.Tx, id [sha256.Size]byte, e entry, now time.Time) error {
	if !e.live(now) {
		return table.Delete(tx, string(id[:]))
	}
	e.Whole = k.Whole[:]
	return table.Put(tx, string(id[:]), e)
}

// Certify checks that no component of k is in another key, and fails with
// [ErrShared] if one is. Call it in the transaction that records a certificate for
// k. For a composite it needs a [Clearance] and enters the component keys into the
// index until the certificate expires; for any other key it reads one entry and
// writes nothing.
func (k Key) Certify(tx storage.Tx, until, now time.Time, cleared ...Clearance) error {
	if err := k.check(tx, cleared); err != nil {
		return err
	}
	return k.certify(tx, until, earliest(now, cleared))
}

func (k Key) certify(tx storage.Tx, until, now time.Time) error {
	if len(k.Halves) == 0 {
		_, err := k.find(tx, k.Whole, now)
		return err
	}
	for _, half := range k.Halves {
		e, err := k.find(tx, half, now)
		if err != nil {
			return err
		}
		if until.After(e.Until) {
			e.Until = until
		}
		if err := errors.Join(k.put(tx, half, e, now), ends.Put(tx, endKey(until, half), struct{}{})); err != nil {
			return err
		}
	}
	return forget(tx, now)
}

// Replace makes after the keys that holder has registered, in place of before. An
// agent is a holder by its name; other holders have names that no agent can have.
// Replace fails with [ErrShared] if a component of a key in after is in another
// key, and needs a [Clearance] for each composite that is not among those before.
func Replace(tx storage.Tx, holder string, before, after []Key, now time.Time, cleared ...Clearance) error {
	now = earliest(now, cleared)
	for _, k := range before {
		if err := k.release(tx, holder, now); err != nil {
			return err
		}
	}
	for _, k := range after {
		if !slices.ContainsFunc(before, func(b Key) bool { return b.Whole == k.Whole }) {
			if err := k.check(tx, cleared); err != nil {
				return err
			}
		}
		if err := k.register(tx, holder, now); err != nil {
			return err
		}
	}
	return nil
}

func (k Key) register(tx storage.Tx, holder string, now time.Time) error {
	for _, id := range k.ids() {
		e, err := k.find(tx, id, now)
		if err != nil {
			return err
		}
		if !slices.Contains(e.Holders, holder) {
			e.Holders = append(e.Holders, holder)
		}
		if err := k.put(tx, id, e, now); err != nil {
			return err
		}
	}
	return nil
}

// release undoes register. It also accepts a key that was never in the index,
// because an older store may have two keys that share a component.
func (k Key) release(tx storage.Tx, holder string, now time.Time) error {
	for _, id := range k.ids() {
		e, err := k.find(tx, id, now)
		if errors.Is(err, ErrShared) {
			continue // the entry belongs to the other key
		}
		if err != nil {
			return err
		}
		e.Holders = slices.DeleteFunc(e.Holders, func(h string) bool { return h == holder })
		if err := k.put(tx, id, e, now); err != nil {
			return err
		}
	}
	return nil
}
