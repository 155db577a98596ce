package components

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

// A component key of a composite must not be used anywhere else: who breaks one
// of the keys that it is in has broken a half of the others as well
// (draft-ietf-lamps-pq-composite-sigs-19, sections 5.3 and 9.3). So no component
// is in two keys at a time, whichever agents have them. The index below knows the
// components of composite keys, registered or certified, and the other keys that
// are registered. The keys that are certified alone it does not: an entry for each
// would cost each issuance a write, so package ca finds them where they are.

// components says of a component which key it is in.
const components = storage.Table[component]("components")

// A component is stored as JSON: fields may be added, and none changes its
// meaning. It stands for nothing once nobody has the key registered and the
// certificates are over. Whether they were revoked does not matter: a component of
// such a key is no better than it.
type component struct {
	Whole   []byte    `json:"whole"`
	Until   time.Time `json:"until,omitzero"`    // the last certificate's end
	Holders []string  `json:"holders,omitempty"` // who has the key registered
}

func (c component) live(now time.Time) bool { return len(c.Holders) > 0 || now.Before(c.Until) }

// ids returns what the key's entries are found by.
func (c Key) ids() [][sha256.Size]byte {
	if len(c.Halves) == 0 {
		return [][sha256.Size]byte{c.Whole}
	}
	return c.Halves
}

// Apart returns nil if no component of the key is in another key that the index
// knows, and [ErrShared] if one is.
func (c Key) Apart(tx storage.Tx, now time.Time) error {
	for _, id := range c.ids() {
		if _, err := c.find(tx, id, now); err != nil {
			return err
		}
	}
	return nil
}

// find returns the entry of a component of c, the zero one if it has none that
// stands for something. It fails if the component is in another key.
func (c Key) find(tx storage.Tx, id [sha256.Size]byte, now time.Time) (component, error) {
	known, err := components.Get(tx, string(id[:]))
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return component{}, nil
	case err != nil:
		return component{}, err
	case bytes.Equal(known.Whole, c.Whole[:]):
		return known, nil
	case known.live(now):
		return component{}, ErrShared
	}
	return component{}, nil
}

// put sets the entry of a component of c, or removes one that stands for nothing.
func (c Key) put(tx storage.Tx, id [sha256.Size]byte, entry component, now time.Time) error {
	if !entry.live(now) {
		return components.Delete(tx, string(id[:]))
	}
	entry.Whole = c.Whole[:]
	return components.Put(tx, string(id[:]), entry)
}

// Certify fails with [ErrShared] if [Key.Apart] does. It is called in
// the transaction that records a certificate for the key; a composite's components
// are known from then on, until the certificate ends.
func (c Key) Certify(tx storage.Tx, until, now time.Time) error {
	if len(c.Halves) == 0 {
		return c.Apart(tx, now)
	}
	for _, half := range c.Halves {
		entry, err := c.find(tx, half, now)
		if err != nil {
			return err
		}
		if until.After(entry.Until) {
			entry.Until = until
		}
		if err := errors.Join(c.put(tx, half, entry, now), ends.Put(tx, endKey(until, half), struct{}{})); err != nil {
			return err
		}
	}
	return forget(tx, now)
}

// Register is Certify for a key that holder has registered, until it releases it:
// an agent by its name, anything else by what no name can be.
func (c Key) Register(tx storage.Tx, holder string, now time.Time) error {
	for _, id := range c.ids() {
		entry, err := c.find(tx, id, now)
		if err != nil {
			return err
		}
		if !slices.Contains(entry.Holders, holder) {
			entry.Holders = append(entry.Holders, holder)
		}
		if err := c.put(tx, id, entry, now); err != nil {
			return err
		}
	}
	return nil
}

// Release ends what Register began, or did not begin.
func (c Key) Release(tx storage.Tx, holder string, now time.Time) error {
	for _, id := range c.ids() {
		entry, err := c.find(tx, id, now)
		if errors.Is(err, ErrShared) {
			continue // the entry is another key's
		}
		if err != nil {
			return err
		}
		entry.Holders = slices.DeleteFunc(entry.Holders, func(h string) bool { return h == holder })
		if err := c.put(tx, id, entry, now); err != nil {
			return err
		}
	}
	return nil
}

// ends names the components of certified keys in the order in which they end: the
// second, big-endian, then the component. It is for forget alone.
const ends = storage.Table[struct{}]("components.ends")

func endKey(until time.Time, id [sha256.Size]byte) string {
	return string(append(binary.BigEndian.AppendUint64(nil, uint64(until.Unix())), id[:]...))
}

// maxForget is how many ends one certification looks at. It adds two: the index
// shrinks to what is alive while composites are certified, and does not grow
// while none are.
const maxForget = 8

// forget removes what has ended, the earliest first. [clock.Tolerance] keeps it from
// forgetting early by a clock that was a little ahead.
func forget(tx storage.Tx, now time.Time) error {
	limit := endKey(now.Add(-clock.Tolerance), [sha256.Size]byte{})
	var over []string
	for key := range tx.Scan(string(ends), "") {
		if len(over) == maxForget || key >= limit {
			break
		}
		over = append(over, key)
	}
	for _, key := range over {
		if len(key) != len(limit) {
			return fmt.Errorf("the end of a component has a key of %d octets", len(key))
		}
		if err := ends.Delete(tx, key); err != nil {
			return err
		}
		id := key[len(key)-sha256.Size:]
		c, err := components.Get(tx, id)
		if err == nil && !c.live(now) {
			err = components.Delete(tx, id)
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}
