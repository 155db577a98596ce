package components

import (
	"errors"
	"slices"

	"github.com/brevet-ca/brevet/storage"
)

// A Clearance says that no live certificate is for one of these halves of composite
// keys. Package ca knows the certificates and gives clearances (ca.CA.Apart). Without
// one, agents.Add and Set register no composite key.
type Clearance struct {
	halves [][32]byte
	check  func(storage.Tx) error // looks at certificates issued since it was given
}

// NewClearance returns a Clearance for the halves of c. Its check is run in the
// transaction that registers or certifies the key; nil means that there is nothing
// to check.
func NewClearance(c Key, check func(storage.Tx) error) Clearance {
	return Clearance{c.Halves, check}
}

// Check fails with [ErrShared] if a certificate for one of the halves was issued
// since the Clearance was given.
func (cl Clearance) Check(tx storage.Tx) error {
	if cl.check == nil {
		return nil
	}
	return cl.check(tx)
}

// errNotCleared says that a caller forgot to ask for a Clearance.
var errNotCleared = errors.New("a composite key was not compared with the certificates on record")

// Covered checks that the halves of a key are among those that were cleared.
func Covered(c Key, cleared ...Clearance) error {
	for _, half := range c.Halves {
		if !slices.ContainsFunc(cleared, func(cl Clearance) bool { return slices.Contains(cl.halves, half) }) {
			return errNotCleared
		}
	}
	return nil
}
