package audit

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A Log is the whole audit log: the store has its last events, and segments have those
// before.
type Log struct {
	DB       storage.DB
	Segments Dir
}

// maxBatch bounds how many events one read transaction takes: a long one would
// keep the store from using its pages again.
const maxBatch = 1000

// Read yields the events from a position on to the end, in batches. It ends after the
// first error: a [SealedError] if the file of a segment is not there.
func (l Log) Read(ctx context.Context, from int64) iter.Seq2[[]Event, error] {
	return func(yield func([]Event, error) bool) {
		l.read(ctx, from, yield)
	}
}

// Follow yields the events from a position on as [Log.Read] does and, at the end, those
// that come, soon after they are committed. It ends without an error when ctx ends,
// and with [storage.ErrClosed] when the store is closed. Between events it holds no
// transaction, so a slow reader delays nobody. A reader that keeps the position
// after each batch that it has dealt with sees each event at least once.
func (l Log) Follow(ctx context.Context, from int64) iter.Seq2[[]Event, error] {
	return func(yield func([]Event, error) bool) {
		for more := true; more; {
			changed := storage.Changed(l.DB) // before the look, so that no commit is missed
			from, more = l.read(ctx, from, func(some []Event, err error) bool {
				return ctx.Err() == nil && yield(some, err)
			})
			if !more {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}
}

// read yields what there is from a position on. It returns the position after that, and
// whether to go on.
func (l Log) read(ctx context.Context, from int64, yield func([]Event, error) bool) (next int64, more bool) {
	for {
		some, err := l.batch(ctx, from)
		if sealed, ok := errors.AsType[*SealedError](err); ok {
			if !l.segment(ctx, sealed.Segment, from, yield) {
				return from, false
			}
			from = sealed.Segment.Next
			continue
		}
		if err != nil {
			yield(nil, err)
			return from, false
		}
		from += int64(len(some))
		if len(some) > 0 && !yield(some, nil) {
			return from, false
		}
		if len(some) < maxBatch {
			return from, true
		}
	}
}

// batch returns the next events in the store.
func (l Log) batch(ctx context.Context, from int64) (some []Event, err error) {
	err = l.DB.View(ctx, func(tx storage.Tx) error {
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

// segment yields the events of a segment from a position on, and reports whether to go on.
func (l Log) segment(ctx context.Context, s Segment, from int64, yield func([]Event, error) bool) bool {
	var some []Event
	for e, err := range l.Segments.Events(s) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(nil, err)
			return false
		}
		if e.Seq < from {
			continue
		}
		if some = append(some, e); len(some) == maxBatch {
			if !yield(some, nil) {
				return false
			}
			some = nil
		}
	}
	return len(some) == 0 || yield(some, nil)
}

// Size returns how many events the log holds.
func (l Log) Size(ctx context.Context) (size int64, err error) {
	err = l.DB.View(ctx, func(tx storage.Tx) (err error) {
		size, err = Size(tx)
		return err
	})
	return size, err
}

// Missing returns the segments whose files are not there, of those that have events from a
// position up to another.
func (l Log) Missing(ctx context.Context, from, end int64) (list []Segment, err error) {
	err = l.DB.View(ctx, func(tx storage.Tx) error {
		list = nil
		for s, err := range Segments(tx) {
			if err != nil {
				return err
			}
			if s.Next > from && s.First < end && !l.Segments.Has(s) {
				list = append(list, s)
			}
		}
		return nil
	})
	return list, err
}

// Back returns where to begin to read the events just before a position, for a reader that
// goes back. A segment is best read as a whole.
func (l Log) Back(ctx context.Context, end int64) (first int64, err error) {
	err = l.DB.View(ctx, func(tx storage.Tx) error {
		size, _, err := Sealed(tx)
		if first = max(size, end-maxBatch); err != nil || end > size {
			return err
		}
		s, ok, err := segmentOf(tx, end-1)
		if first = s.First; err == nil && !ok {
			err = removed(end-1, end-1)
		}
		return err
	})
	return first, err
}

// After returns the position of the first event whose time is not before t, or the
// log's size if no event is so late. It is a binary search. If the segment that has the
// event is not there, it returns the position of the segment's first event.
//
// It assumes that times rise with positions, which holds unless the clock was set back.
// Then more than one position may fit, and After returns one of them: the result is off
// by no more than the events written while the clock went through the same hours again.
func (l Log) After(ctx context.Context, t time.Time) (seq int64, err error) {
	var in Segment // that has the event, if one does
	err = l.DB.View(ctx, func(tx storage.Tx) error {
		in = Segment{}
		if seq, err = after(tx, t); err != nil {
			return err
		}
		if size, _, err := Sealed(tx); err != nil || seq > size {
			return err
		}
		for s, err := range Segments(tx) {
			if err != nil {
				return err
			}
			if !s.End.Before(t) {
				in, seq = s, s.First
				break
			}
		}
		return nil
	})
	if err != nil || in.Next == 0 {
		return seq, err
	}
	for e, err := range l.Segments.Events(in) {
		if _, ok := errors.AsType[*SealedError](err); ok {
			return in.First, nil
		}
		if err != nil || !e.Time.Before(t) {
			return e.Seq, err
		}
	}
	return in.Next, nil
}

// after is After for the events in the store.
func after(tx storage.Tx, t time.Time) (int64, error) {
	lo, _, err := Sealed(tx) // events before lo are earlier than t; events from hi on are not
	if err != nil {
		return 0, err
	}
	hi, err := Size(tx)
	if err != nil {
		return 0, err
	}
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

// Prove returns the proof that an event is in the log of a signed checkpoint, which sign
// makes. If a segment has the event, the proof is by the checkpoint of the segment.
func (l Log) Prove(ctx context.Context, seq int64, sign func(storage.Tx) ([]byte, error)) (p Proof, err error) {
	err = l.DB.View(ctx, func(tx storage.Tx) error {
		signed, err := sign(tx)
		if err != nil {
			return err
		}
		p, err = Prove(tx, seq, signed)
		return err
	})
	if sealed, ok := errors.AsType[*SealedError](err); ok && sealed.Dir == "" {
		return l.Segments.Prove(sealed.Segment, seq)
	}
	return p, err
}

// Verify is [Dir.Verify] with segments read outside of
// transactions. In the transaction in which it comes to the end of the log it then calls
// then, unless that is nil.
func (l Log) Verify(ctx context.Context, then func(storage.Tx) error, checkpoints ...Checkpoint) (Report, error) {
	v := newVerifier(l.Segments, checkpoints)
	var list []Segment
	err := l.DB.View(ctx, func(tx storage.Tx) (err error) {
		list, err = collect(Segments(tx))
		return err
	})
	if err == nil {
		err = v.segments(list)
	}
	if err == nil {
		err = l.DB.View(ctx, func(tx storage.Tx) error {
			if err := v.store(tx); err != nil || then == nil {
				return err
			}
			return then(tx)
		})
	}
	return v.result(err)
}

func collect(all iter.Seq2[Segment, error]) (list []Segment, err error) {
	for s, err := range all {
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}
