package audit

import (
	"errors"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// Get returns the event at a position, or [storage.ErrNotFound] if the log is shorter.
// Like [Since], it checks events against their own hash; only [Verify] checks them
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
		return Event{}, removed(seq, seq)
	}
	if err != nil {
		return Event{}, err
	}
	e, _, err := parseRecord(seq, value)
	return e, err
}

// Since yields the events from a position on, in order, up to the end of the log at the
// time of the call. It ends after the first error. The same transaction must not append
// to the log meanwhile.
func Since(tx storage.Tx, seq int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		size, err := Size(tx)
		if err != nil {
			yield(Event{}, err)
			return
		}
		next := max(seq, 0)
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
				e, _, err := parseRecord(next, value)
				if !yield(e, err) || err != nil {
					return
				}
				next++
			}
			if next < end {
				yield(Event{}, removed(next, next))
				return
			}
		}
	}
}

// After returns the position of the first event whose time is not before t, or the
// log's size if no event is so late. It is a binary search.
//
// It assumes that times rise with positions, which holds unless the clock was set back.
// Then more than one position may fit, and After returns one of them: the result is off
// by no more than the events written while the clock went through the same hours again.
func After(tx storage.Tx, t time.Time) (int64, error) {
	hi, err := Size(tx)
	if err != nil {
		return 0, err
	}
	var lo int64 // events before lo are earlier than t; events from hi on are not
	for lo < hi {
		mid := lo + (hi-lo)/2
		e, err := get(tx, mid)
		if err != nil {
			return 0, err
		}
		if e.Time.Before(t) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}
