package persons

import (
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// ErrSuspended says that a person may not operate until an admin resumes them.
var ErrSuspended = agents.NewRefusal("operator_suspended", "denied: this operator is suspended", nil)

// A Person is what the store has of a person. It is stored as JSON: fields may be added, and
// none changes its meaning. A person who is not on record was never suspended.
type Person struct {
	Name      Name      `json:"name"`
	Suspended bool      `json:"suspended,omitempty"`
	Changed   time.Time `json:"changed,omitzero"` // when they were last suspended or resumed
}

var people = storage.Table[Person]("persons")

// Get returns the person of a name.
func Get(tx storage.Tx, n Name) (Person, error) {
	p, err := people.Get(tx, string(n))
	if errors.Is(err, storage.ErrNotFound) {
		return Person{Name: n}, nil
	}
	return p, err
}

// Usable returns nil if a person may operate, or [ErrSuspended].
func Usable(tx storage.Tx, n Name) error {
	p, err := Get(tx, n)
	if err == nil && p.Suspended {
		err = fmt.Errorf("%w: %s since %s", ErrSuspended, n, p.Changed.UTC().Format(time.RFC3339))
	}
	return err
}

// Suspend has a person do nothing more. It reports whether that is new.
func Suspend(tx storage.Tx, n Name, now time.Time) (Person, bool, error) {
	return suspended(tx, n, true, now)
}

// Resume lets a suspended person operate again. It reports whether that is new.
func Resume(tx storage.Tx, n Name, now time.Time) (Person, bool, error) {
	return suspended(tx, n, false, now)
}

func suspended(tx storage.Tx, n Name, want bool, now time.Time) (Person, bool, error) {
	p, err := Get(tx, n)
	if err != nil || p.Suspended == want {
		return p, false, err
	}
	p.Suspended, p.Changed = want, now.UTC()
	return p, true, people.Put(tx, string(n), p)
}
