// Package format says which version of brevet a store needs. A version that
// changes what is stored, so that earlier ones would misread it or fail halfway,
// calls [Need] in the transaction that first writes the new form. Until then
// the earlier versions may open the store again. Every version calls [Check]
// when it opens a store.
package format

import (
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/storage"
)

// A Version is a form of the store. It is stored, so the numbers never change.
type Version int

const (
	// First is the form of stores that say nothing: brevet 0.1 wrote them.
	First Version = 1
	// Details is the form in which events of the audit log have details.
	Details Version = 2
	// Segments is the form in which the audit log begins in segments.
	Segments Version = 3
	// Operators is the form in which certificates of operators are on record.
	Operators Version = 4
	// Roles is the form in which agents have roles, and grants that end. The same version of
	// brevet reads it.
	Roles = Operators
	// Proxies is the form in which events name the proxy that forwarded a certificate. The same
	// version of brevet reads it.
	Proxies = Operators
	// Policies is the form in which policies decide what agents get. An earlier version would
	// decide without them.
	Policies Version = 5
	// latest is the newest form that this program reads.
	latest = Policies
)

// program is the first version of brevet that reads v.
func (v Version) program() string { return fmt.Sprintf("brevet 0.%d", v) }

const (
	// table holds what the store needs, under one key. The program is written
	// beside the number, because a program that does not know the number cannot know
	// the name either.
	table = storage.Table[needs]("format")
	key   = "needs"
)

type needs struct {
	Version Version `json:"version"`
	Program string  `json:"program"`
}

// A NewerError says that the store needs a newer program than this one.
type NewerError struct{ Program string }

func (e *NewerError) Error() string {
	return fmt.Sprintf("this store needs %s or later: what is in it was written by such a version; nothing was changed", e.Program)
}

// Check returns a [NewerError] if the store needs a newer program.
func Check(tx storage.Tx) error {
	n, err := current(tx)
	if err == nil && n.Version > latest {
		return &NewerError{n.Program}
	}
	return err
}

func current(tx storage.Tx) (needs, error) {
	n, err := table.Get(tx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return needs{Version: First, Program: First.program()}, nil
	}
	return n, err
}

// marked has the stored forms of what stores need, by version. Each issuance compares
// them, which is cheaper than to decode one.
var marked = func() (m [latest + 1]string) {
	for v := First; v <= latest; v++ {
		m[v] = fmt.Sprintf(`{"version":%d,"program":%q}`, v, v.program())
	}
	return m
}()

// Reached reports whether the store needs a program that reads v already.
func Reached(tx storage.Tx, v Version) (bool, error) {
	n, err := current(tx)
	return n.Version >= v, err
}

// Need records that the store is of form v from this transaction on.
func Need(tx storage.Tx, v Version) error {
	b, err := tx.Get(string(table), key)
	if err == nil && slices.Contains(marked[v:], string(b)) {
		return nil
	}
	n, err := current(tx)
	if err != nil || n.Version >= v {
		return err
	}
	if n.Version == First {
		if err := stopFirst(tx); err != nil {
			return err
		}
	}
	return table.Put(tx, key, needs{v, v.program()})
}
