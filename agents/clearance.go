package agents

import (
	"errors"
	"slices"

	"github.com/brevet-ca/brevet/storage"
)

// A Clearance says that no live certificate is for one of these halves of composite
// keys. Package ca knows the certificates and gives clearances (ca.CA.Apart). Without
// one, [Add] and [Set] register no composite key.
type Clearance struct {
	halves [][32]byte
	check  func(storage.Tx) error // looks at certificates issued since it was given
}

// NewClearance returns a Clearance for the halves of c. Its check is run in the
// transaction that registers or certifies the key; nil means that there is nothing
// to check.
func NewClearance(c Components, check func(storage.Tx) error) Clearance {
	return Clearance{c.Halves, check}
}

// Check fails with [ErrComponent] if a certificate for one of the halves was issued
// since the Clearance was given.
func (cl Clearance) Check(tx storage.Tx) error {
	if cl.check == nil {
		return nil
	}
	return cl.check(tx)
}

// errNotCleared says that a caller forgot to ask for a Clearance.
var errNotCleared = errors.New("a composite key was not compared with the certificates on record")

// covers checks that the halves of a key are among those that were cleared.
func (cl Clearance) covers(c Components) error {
	for _, half := range c.Halves {
		if !slices.Contains(cl.halves, half) {
			return errNotCleared
		}
	}
	return nil
}

// Components returns what the keys that c registers are made of, taken together,
// to ask for a [Clearance]. It skips texts that are not keys: [Add] and [Set] refuse them.
func (c Change) Components() (all Components, err error) {
	for _, text := range c.Keys {
		k, err := ParsePublicKey([]byte(text))
		if err != nil {
			break
		}
		of, err := k.Components()
		if err != nil {
			return all, err
		}
		all.Halves = append(all.Halves, of.Halves...)
	}
	return all, nil
}
