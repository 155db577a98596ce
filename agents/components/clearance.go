package components

import (
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A Clearance shows that some composite keys were compared with the certificates on
// record: none of their component keys is the key of a certificate that has not
// expired. [Census.Clear] gives it. Without one, no composite key is registered or
// certified.
//
// A Clearance also says which time it is at the earliest: the clock may be ahead, and a key
// whose certificate has expired by a wrong clock may still be in use.
type Clearance struct {
	halves   [][32]byte
	check    func(storage.Tx) error
	earliest time.Time // the zero time means the time that the caller names
}

// NewClearance returns a Clearance for keys. check runs in the transaction that
// registers or certifies them and looks at the certificates that were issued since
// the comparison.
func NewClearance(check func(storage.Tx) error, keys ...Key) Clearance {
	return Clearance{halves: halvesOf(keys), check: check}
}

// earliest returns which time it is at the earliest, at now.
func earliest(now time.Time, cleared []Clearance) time.Time {
	for _, c := range cleared {
		if !c.earliest.IsZero() && c.earliest.Before(now) {
			now = c.earliest
		}
	}
	return now
}

func halvesOf(keys []Key) (halves [][32]byte) {
	for _, k := range keys {
		halves = append(halves, k.Halves...)
	}
	return halves
}

// errNotCleared means a bug: a caller has not asked for a Clearance.
var errNotCleared = errors.New("a composite key was not compared with the certificates on record")

// check checks that one of cleared covers k and still holds. A key that is not
// composite needs no Clearance.
func (k Key) check(tx storage.Tx, cleared []Clearance) error {
	if len(k.Halves) == 0 {
		return nil
	}
	for _, c := range cleared {
		if c.covers(k) {
			return c.check(tx)
		}
	}
	return errNotCleared
}

func (c Clearance) covers(k Key) bool {
	return !slices.ContainsFunc(k.Halves, func(half [32]byte) bool { return !slices.Contains(c.halves, half) })
}
