package agents

import (
	"errors"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A Restore says what the latest restore from a backup came to. It is stored as JSON:
// fields may be added, and none changes its meaning.
type Restore struct {
	// At is the moment of the restore. Uses from before it may be on record no more, so no
	// proof from before it is accepted that may be used only once.
	At time.Time `json:"at"`
	// Unknown says that nobody knows what was ended between the backup and At, and that
	// no operator has confirmed yet that it is ended again.
	Unknown bool `json:"unknown,omitempty"`
}

// restores holds the latest restore, under one key.
var restores = storage.NewMemo(storage.Table[Restore]("restores"))

const lastRestore = "last"

// NoteRestore records a restore.
func NoteRestore(tx storage.Tx, r Restore) error { return restores.Put(tx, lastRestore, r) }

// LastRestore returns the latest restore, or the zero Restore if there was none.
func LastRestore(tx storage.Tx) (Restore, error) {
	r, err := restores.Get(tx, lastRestore)
	if errors.Is(err, storage.ErrNotFound) {
		return Restore{}, nil
	}
	return r, err
}

// ConfirmRestore records that what must stay ended after the latest restore is ended. It
// reports whether a restore waited for that.
func ConfirmRestore(tx storage.Tx) (waited bool, err error) {
	r, err := LastRestore(tx)
	if err != nil || !r.Unknown {
		return false, err
	}
	r.Unknown = false
	return true, NoteRestore(tx, r)
}

// VoidInvitations ends all enrollment tokens and ACME binding keys that were not used. It
// returns how many agents and operators had one.
func VoidInvitations(tx storage.Tx) (n int, err error) {
	var waiting []Agent
	for a, err := range table.Scan(tx, "") {
		if err != nil {
			return 0, err
		}
		if a.Pending != nil || a.Binding != nil {
			waiting = append(waiting, a)
		}
	}
	for _, a := range waiting {
		a.Pending, a.Binding = nil, nil
		if err := a.put(tx); err != nil {
			return 0, err
		}
	}
	return len(waiting), nil
}

// DropKeys removes those of the agent's registered keys that gone chooses, and reports
// whether there were any.
func DropKeys(tx storage.Tx, n Name, gone func(PublicKey) bool, now time.Time) (bool, error) {
	a, err := Get(tx, n)
	if err != nil {
		return false, err
	}
	before := a.Keys
	a.Keys = nil
	for _, k := range before {
		if !gone(k) {
			a.Keys = append(a.Keys, k)
		}
	}
	if len(a.Keys) == len(before) {
		return false, nil
	}
	a.Changed = now
	if err := a.dateKeys(tx, before, now); err != nil {
		return false, err
	}
	return true, errors.Join(setKeys(tx, n, before, a.Keys, now), a.put(tx))
}
