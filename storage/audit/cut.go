package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

// slice is how many events one transaction reads or deletes: other writers wait for about
// a millisecond.
const slice = 128

// A cutting is a segment that is about to be made.
type cutting struct {
	Segment
	header header
	after  tree
}

// A Cutter cuts a log again and again. Each look at the log costs no more than the events that
// are new.
type Cutter struct {
	Log
	counted stretch
}

// A stretch is the events after the last segment, as far as they are counted.
type stretch struct {
	size        int64 // of a segment, at least
	first, next int64
	cut         int64 // where the next segment ends, or 0 if there are too few events for one
	octets      int64 // from first, or from cut
}

// Cut moves the oldest events to a segment if there are enough: their JSON has size octets,
// and that of the events that stay at least as many. It reports whether it did.
//
// A segment is written, read again and on the disk before a transaction records it. That
// transaction checks that the log in the store begins where the segment does: if another node
// was faster, nothing happens. From then on the events are read from the segment, and they are
// deleted from the store in several transactions. A crash before the record leaves a file, which
// the next cut takes if it is of the same events. A crash after it leaves events in the
// store, which the next cut deletes. The checkpoint of a file that is taken may be signed by
// another one of the keys.
func (l *Cutter) Cut(ctx context.Context, size int64, s *Signer, keys ...Verifier) (done bool, err error) {
	if err := l.clear(ctx); err != nil {
		return false, fmt.Errorf("deleting the events of a segment from the store: %w", err)
	}
	var c *cutting
	err = l.DB.View(ctx, func(tx storage.Tx) (err error) {
		c, err = l.plan(tx, size, s)
		return err
	})
	if err != nil || c == nil {
		return false, err
	}
	if !slices.ContainsFunc(keys, func(k Verifier) bool { return k.Name() == s.Name() && k.KeyHash() == s.KeyHash() }) {
		keys = append(slices.Clip(keys), s)
	}
	p := newPace(ctx)
	err = l.Segments.add(c.Segment, func(w io.Writer) error { return l.write(ctx, w, c, p) }, p.reader, keys)
	if _, sealed := errors.AsType[*SealedError](err); sealed {
		return false, nil // another node was faster
	}
	if err != nil {
		return false, fmt.Errorf("making the segment %s: %w", c.Name(), err)
	}
	if c.File, err = l.Segments.print(c.Segment, p.reader); err != nil {
		return false, fmt.Errorf("reading the segment %s: %w", c.Name(), err)
	}
	if err := l.DB.Update(storage.Urgent(ctx), c.record); errors.Is(err, errElsewhere) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("recording the segment %s: %w", c.Name(), err)
	}
	return true, l.clear(ctx)
}

// plan returns the next cut, or nil if there are too few events.
func (l *Cutter) plan(tx storage.Tx, size int64, s *Signer) (*cutting, error) {
	_, before, err := head(tx)
	if err != nil {
		return nil, err
	}
	n := l.counted
	if n.first != before.size || n.size != size {
		n = stretch{size: size, first: before.size, next: before.size}
	}
	for r, err := range records(tx, n.next) {
		if err != nil {
			return nil, err
		}
		n.octets, n.next = n.octets+int64(len(r.value)-hashes(r.seq)*tlog.HashSize+1), r.seq+1
		if n.octets >= size && n.cut == 0 {
			n.cut, n.octets = n.next, 0
		}
		if n.octets >= size {
			break
		}
	}
	if l.counted = n; n.octets < size {
		return nil, nil
	}
	c := &cutting{Segment: Segment{First: n.first, Next: n.cut}, header: header{Form: segmentForm, First: n.first, Before: before.hashes()}}
	return c, c.complete(tx, s)
}

// complete reads what else there is to know of the cut, and signs its checkpoint.
func (c *cutting) complete(tx storage.Tx, s *Signer) (err error) {
	if _, err := saved(tx); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	first, err := get(tx, c.First)
	if err != nil {
		return err
	}
	last, err := get(tx, c.Next-1)
	if err != nil {
		return err
	}
	c.Begin, c.End = first.Time, last.Time
	if c.after, err = treeIn(tx, c.Next); err != nil {
		return err
	}
	c.Root = c.after.root()
	signed, err := note.Sign(&note.Note{Text: Checkpoint{s.Name(), c.Next, c.Root}.String()}, s)
	if err != nil {
		return fmt.Errorf("signing checkpoint at size %d: %w", c.Next, err)
	}
	c.header.Checkpoint = string(signed)
	return nil
}

// treeIn returns the tree of the log at an earlier size, which has not left the store.
func treeIn(tx storage.Tx, size int64) (t tree, err error) {
	t.size = size
	for level := range t.full {
		if size>>level&1 == 1 {
			if t.full[level], err = node(tx, level, size>>level-1); err != nil {
				return tree{}, err
			}
		}
	}
	return t, nil
}

// write writes the segment.
func (l Log) write(ctx context.Context, w io.Writer, c *cutting, p *pace) error {
	out, err := newSegmentWriter(w, c.header)
	if err != nil {
		return err
	}
	for next := c.First; next < c.Next; {
		from := next
		err := l.DB.View(ctx, func(tx storage.Tx) error {
			for r, err := range records(tx, from) {
				if err != nil {
					return err
				}
				if r.seq == c.Next || r.seq == from+slice {
					break
				}
				n := hashes(r.seq) * tlog.HashSize
				if len(r.value) < n {
					return changed(r.seq)
				}
				if err := out.line(r.value[n:]); err != nil {
					return err
				}
				next = r.seq + 1
			}
			return nil
		})
		if err == nil {
			err = p.rest()
		}
		if err != nil {
			return err
		}
	}
	return out.close()
}

// errElsewhere says that the log in the store begins elsewhere than a cut.
var errElsewhere = errors.New("another node has cut the log")

// record records that the events of the cut have left the store.
func (c *cutting) record(tx storage.Tx) error {
	_, before, err := head(tx)
	if err != nil {
		return err
	}
	if before.size != c.First {
		return errElsewhere
	}
	h, err := root(tx, c.Next)
	if err != nil {
		return err
	}
	if h != c.Root {
		return &TamperError{Changed, c.First, c.Next - 1, fmt.Sprintf("entries %d to %d were changed while a segment was made of them", c.First, c.Next-1)}
	}
	if err := format.Need(tx, format.Segments); err != nil {
		return err
	}
	// The checkpoint in the store is compared with the log in the store.
	if old, err := saved(tx); errors.Is(err, storage.ErrNotFound) || err == nil && old.Size < c.Next {
		err = tx.Put(checkpointTable, checkpointKey, []byte(c.header.Checkpoint))
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := segmentTable.Create(tx, key(c.First), c.Segment); err != nil {
		return err
	}
	checkpoint, err := claim([]byte(c.header.Checkpoint))
	if err != nil {
		return err
	}
	return sealedTable.Put(tx, sealedKey, sealed{checkpoint.Origin, c.Next, c.after.hashes()})
}

// clear deletes events that are in segments.
func (l Log) clear(ctx context.Context) error {
	ctx = storage.Urgent(ctx) // it makes room
	for p := newPace(ctx); ; {
		var keys []string
		if err := l.DB.View(ctx, func(tx storage.Tx) (err error) {
			keys, err = spent(tx)
			return err
		}); err != nil || len(keys) == 0 {
			return err
		}
		err := l.DB.Update(ctx, func(tx storage.Tx) error {
			keys, err := spent(tx)
			for _, k := range keys {
				err = errors.Join(err, tx.Delete(table, k))
			}
			return err
		})
		if err == nil {
			err = p.rest()
		}
		if err != nil {
			return err
		}
	}
}

// spent returns the keys of events that have left the store, as many as one transaction
// deletes.
func spent(tx storage.Tx) (keys []string, err error) {
	size, _, err := Sealed(tx)
	if err != nil {
		return nil, err
	}
	for k := range tx.Scan(table, "") {
		if k >= key(size) || len(keys) == slice {
			break
		}
		keys = append(keys, k)
	}
	return keys, nil
}
