package audit

import (
	"context"
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

// maxBatch bounds how many events one read transaction takes: a long one would
// keep the store from using its pages again.
const maxBatch = 1000

// Read yields the events from a position on to the end, as many at a time as one
// read transaction takes. It ends after the first error.
func Read(ctx context.Context, db storage.DB, from int64) iter.Seq2[[]Event, error] {
	return func(yield func([]Event, error) bool) {
		for more := true; more; {
			some, err := batch(ctx, db, from)
			if !yieldSome(yield, some, err) {
				return
			}
			from, more = from+int64(len(some)), len(some) == maxBatch
		}
	}
}

// Follow yields the events from a position on as [Read] does and, at the end, those
// that come, soon after they are committed. It ends without an error when ctx ends,
// and with [storage.ErrClosed] when db is closed. Between events it holds no
// transaction, so a slow reader delays nobody. A reader that keeps the position
// after each batch that it has dealt with sees each event at least once.
func Follow(ctx context.Context, db storage.DB, from int64) iter.Seq2[[]Event, error] {
	return func(yield func([]Event, error) bool) {
		for {
			changed := storage.Changed(db) // before the look, so that no commit is missed
			some, err := batch(ctx, db, from)
			if ctx.Err() != nil || !yieldSome(yield, some, err) {
				return
			}
			from += int64(len(some))
			if len(some) == maxBatch {
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}
}

// yieldSome yields what there is, and reports whether to go on.
func yieldSome(yield func([]Event, error) bool, some []Event, err error) bool {
	if err != nil {
		yield(nil, err)
		return false
	}
	return len(some) == 0 || yield(some, nil)
}

func batch(ctx context.Context, db storage.DB, from int64) (some []Event, err error) {
	err = db.View(ctx, func(tx storage.Tx) error {
		some = nil
		for e, err := range Since(tx, from) {
			if err != nil {
				return err
			}
			if some = append(some, e); len(some) == maxBatch {
				break
			}
		}
		return nil
	})
	return some, err
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
