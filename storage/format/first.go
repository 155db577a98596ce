package format

import (
	"encoding/json"
	"errors"

	"github.com/brevet-ca/brevet/storage"
)

// Brevet 0.1 does not look for a form, and would take an event with details for a
// tampered one. But before any event, its server reads the latest time on record.
// So the time moves, and a sentence takes its place: 0.1 then refuses to start
// because it cannot read the table "clock", and changes nothing. The sentence is
// for whoever looks there, since the error does not repeat it.
const (
	clock      = "clock"  // the table of the latest time on record, which package server keeps
	latestTime = "latest" // its key in the first form
	notedTime  = "noted"  // and since
)

// ClockKey returns under which key the latest time on record stands.
func ClockKey(tx storage.Tx) (string, error) {
	n, err := current(tx)
	if n.Version == First {
		return latestTime, err
	}
	return notedTime, err
}

// stopFirst keeps brevet 0.1 from opening a store that needs v.
func stopFirst(tx storage.Tx, v Version) error {
	at, err := tx.Get(clock, latestTime)
	switch {
	case err == nil:
		if err := tx.Put(clock, notedTime, append([]byte(nil), at...)); err != nil {
			return err
		}
	case !errors.Is(err, storage.ErrNotFound):
		return err
	}
	text, err := json.Marshal((&NewerError{v.program()}).Error())
	if err != nil {
		return err
	}
	return tx.Put(clock, latestTime, text)
}
