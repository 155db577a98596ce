package crl

import (
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A CRL is a published list. All but its DER is stored, as JSON, one for each
// issuer. So the number never goes back, even if several publishers share the store.
type CRL struct {
	Issuer     string    `json:"issuer"` // hexadecimal subject key identifier
	Number     int64     `json:"number"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	Regular    time.Time `json:"regular"` // when the last regular publication was made
	Entries    int       `json:"entries"`
	DER        []byte    `json:"-"` // signed again at each start
	sameDate   bool      // the previous list has the same thisUpdate
}

const table = storage.Table[CRL]("crl")

// errOvertaken says that another publisher over the same store published between
// the snapshot of a list and its record.
var errOvertaken = errors.New("another publisher over the same store was faster")

// record stores lists in the place of the ones that they were computed from. If one
// of those is no longer the last, nobody may see any of the new ones: its number is
// taken, and it may lack what the other list has.
func record(tx storage.Tx, drafts []*draft, crls []*CRL) error {
	for i, c := range crls {
		stored, err := table.Get(tx, c.Issuer)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if stored.Number != drafts[i].last.Number {
			return fmt.Errorf("%w: CRL %d of %s is published", errOvertaken, stored.Number, c.Issuer)
		}
		if err := table.Put(tx, c.Issuer, *c); err != nil {
			return err
		}
	}
	return nil
}

// leap is added to the numbers of the lists when an older state of the store is
// restored. It is more than the number of lists that were published since.
const leap = 1 << 20

// Leap makes the next lists have numbers that no list had before, even if tx no longer
// knows which those were (RFC 5280, section 5.2.3).
func Leap(tx storage.Tx) error {
	var all []CRL
	for c, err := range table.Scan(tx, "") {
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for _, c := range all {
		c.Number += leap
		if err := table.Put(tx, c.Issuer, c); err != nil {
			return err
		}
	}
	return leapRoots(tx)
}

// leapRoots also makes the roots sign again as soon as their keys are here.
func leapRoots(tx storage.Tx) error {
	var all []RootLists
	for l, err := range rootTable.Scan(tx, "") {
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	for _, l := range all {
		l.Number, l.Facts = l.Number+leap, nil
		if err := l.Record(tx); err != nil {
			return err
		}
	}
	return nil
}
