package audit

import (
	"errors"
	"iter"

	"github.com/brevet-ca/brevet/storage"
)

// Get returns the event at a position, or [storage.ErrNotFound] if the log is shorter.
// Like [Since], it checks events against their own hash; only [Dir.Verify] checks them
// against the whole log.
func Get(tx storage.Tx, seq int64) (Event, error) {
	size, err := Size(tx)
	if err != nil {
		return Event{}, err
	}
	if seq < 0 || seq >= size {
		return Event{}, storage.ErrNotFound
	}
	return get(tx, seq)
}

func get(tx storage.Tx, seq int64) (Event, error) {
	value, err := tx.Get(table, key(seq))
	if errors.Is(err, storage.ErrNotFound) {
		return Event{}, absent(tx, seq)
	}
	if err != nil {
		return Event{}, err
	}
	e, _, err := parseRecord(seq, value)
	return e, err
}

// Since yields the events from a position on, in order, up to the end of the log at the
// time of the call. It ends after the first error: a [SealedError] if the position has left
// the store. The same transaction must not append to the log meanwhile.
func Since(tx storage.Tx, seq int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for r, err := range records(tx, max(seq, 0)) {
			var e Event
			if err == nil {
				e, _, err = parseRecord(r.seq, r.value)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// A record is an entry of the log as the store has it.
type record struct {
	seq   int64
	value []byte
}

// records yields the records from a position on, up to the end of the log. It ends after
// the first error.
func records(tx storage.Tx, next int64) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		size, err := Size(tx)
		if err != nil {
			yield(record{}, err)
			return
		}
		for next < size {
			// Positions that differ only in their last byte share a prefix.
			end := min(size, (next|0xff)+1)
			for k, value := range tx.Scan(table, key(next)[:7]) {
				if k < key(next) {
					continue
				}
				if next == end || k != key(next) {
					break
				}
				if !yield(record{next, value}, nil) {
					return
				}
				next++
			}
			if next < end {
				yield(record{}, absent(tx, next))
				return
			}
		}
	}
}

// absent returns why there is no record at a position.
func absent(tx storage.Tx, seq int64) error {
	_, t, err := head(tx)
	if err != nil {
		return err
	}
	return missing(tx, &t, seq)
}
