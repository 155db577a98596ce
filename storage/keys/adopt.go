package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// states has the states of a key, in the order in which it has them.
var states = []State{StateNext, StateActive, StateRetired}

// Adopt records a key as a later state of the store has it. It never takes a key back to a
// state that the key has left.
func Adopt(tx storage.Tx, k Key) error {
	if err := k.Check(); err != nil {
		return err
	}
	known, err := Get(tx, k.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return put(tx, k)
	case err != nil:
		return err
	case known.Purpose != k.Purpose:
		return fmt.Errorf("%w: key %s is on record for %s, not for %s", ErrInvalid, k.ID, known.Purpose, k.Purpose)
	case !known.Destroyed.IsZero() || slices.Index(states, k.State) < slices.Index(states, known.State):
		return nil
	}
	return put(tx, k)
}

// Lose notes that the private half of a key is gone, whatever the state of the key.
func Lose(tx storage.Tx, id string, now time.Time) error {
	k, err := Get(tx, id)
	if err != nil {
		return err
	}
	if k.State != StateRetired {
		k.State, k.Retired = StateRetired, now
	}
	k.Destroyed = now
	return put(tx, k)
}
