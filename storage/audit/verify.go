package audit

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/storage"
)

// A Report says what [Dir.Verify] found to be intact.
type Report struct {
	Size        int64     `json:"size"` // how many entries, from the first
	Root        tlog.Hash `json:"root"` // the root hash at that size
	First       time.Time `json:"first,omitzero"`
	Last        time.Time `json:"last,omitzero"`
	Checkpoints int       `json:"checkpoints"`       // how many of them agree
	Covered     int64     `json:"covered"`           // the size of the last of them: nothing proves later entries
	Missing     []Segment `json:"missing,omitempty"` // whose files were not there, so that only the hash over their entries was checked
}

// Verify reads the whole log, in the store and in the segments in d, once and in bounded
// memory, and recomputes all hashes. Pass checkpoints from [OpenCheckpoint], in any order. If the
// log differs from what was recorded, the error is a [TamperError] and the report covers the
// entries before that place. A segment that is not there is reported. If a checkpoint is of a size
// within it, the error is a [SealedError]. A million entries take a few seconds, during which
// the transaction stays open.
func (d Dir) Verify(tx storage.Tx, checkpoints ...Checkpoint) (Report, error) {
	v := newVerifier(d, checkpoints)
	return v.result(v.store(tx))
}

// A verifier walks the log, from its first entry.
type verifier struct {
	report  Report
	dir     Dir
	pending []Checkpoint // not reached yet, ordered by size

	restored *Event // the first restore after the last checkpoint that agrees
	tree     *tree  // of the log so far; nil after a segment that is not there
}

func newVerifier(d Dir, checkpoints []Checkpoint) *verifier {
	v := &verifier{dir: d, pending: slices.Clone(checkpoints), tree: new(tree)}
	slices.SortStableFunc(v.pending, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return v
}

func (v *verifier) result(err error) (Report, error) {
	if v.tree != nil {
		v.report.Root = v.tree.root()
	}
	return v.report, err
}

// segments walks those segments that come next.
func (v *verifier) segments(list []Segment) error {
	for _, s := range list {
		if s.First > v.report.Size {
			return removed(v.report.Size, s.First-1)
		}
		if s.First < v.report.Size {
			continue
		}
		err := v.dir.read(s, v.segment)
		if sealed, ok := errors.AsType[*SealedError](err); ok {
			err = v.pass(sealed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pass goes past a segment that is not there.
func (v *verifier) pass(sealed *SealedError) error {
	if err := v.checkpoints(); err != nil {
		return err
	}
	s := sealed.Segment
	if len(v.pending) > 0 && v.pending[0].Size < s.Next {
		return fmt.Errorf("the checkpoint at size %d cannot be compared with the log: %w", v.pending[0].Size, sealed)
	}
	v.report.Missing = append(v.report.Missing, s)
	v.report.Size, v.tree = s.Next, nil
	return nil
}

// meet goes on with the tree that the next part of the log begins with, which is checked if
// the part before was there.
func (v *verifier) meet(next *tree) error {
	if v.tree != nil && v.tree.root() != next.root() {
		return &TamperError{Changed, 0, next.size - 1, fmt.Sprintf("the hashes of the entries before entry %d were changed", next.size)}
	}
	v.tree = next
	return v.checkpoints()
}

func (v *verifier) segment(in *segmentReader) error {
	if err := v.meet(&in.tree); err != nil {
		return err
	}
	for e, err := range in.events() {
		if err != nil {
			return err
		}
		v.event(e)
		if err := v.checkpoints(); err != nil {
			return err
		}
	}
	return nil
}

// store walks the rest of the log.
func (v *verifier) store(tx storage.Tx) error {
	size, err := Size(tx)
	if err != nil {
		return err
	}
	list, err := collect(Segments(tx))
	if err != nil {
		return err
	}
	_, before, err := head(tx)
	if err != nil {
		return err
	}
	if err := v.segments(list); err != nil {
		return err
	}
	if v.report.Size < before.size {
		return removed(v.report.Size, before.size-1)
	}
	if v.report.Size > before.size {
		return &TamperError{Kind: Changed, Detail: "the record of the segments contradicts itself"}
	}
	if err := v.meet(&before); err != nil {
		return err
	}
	return v.log(tx, size)
}

func (v *verifier) log(tx storage.Tx, size int64) error {
	sealed := v.report.Size
	for k, value := range tx.Scan(table, "") {
		next := v.report.Size
		if len(k) != 8 || binary.BigEndian.Uint64([]byte(k)) > maxSize {
			return &TamperError{Added, next, next, fmt.Sprintf("key %q is in the log, which is no position", k)}
		}
		seq := int64(binary.BigEndian.Uint64([]byte(k)))
		if seq < sealed {
			continue // to be deleted
		}
		if next < size && seq != next {
			return removed(next, min(seq, size)-1)
		}
		if seq >= size {
			return added(seq, size)
		}
		if err := v.entry(next, value); err != nil {
			return err
		}
		if err := v.checkpoints(); err != nil {
			return err
		}
	}
	if v.report.Size < size {
		return removed(v.report.Size, size-1)
	}
	if len(v.pending) > 0 {
		return v.unless(v.pending[0], cutOff(size, v.pending[0]))
	}
	return nil
}

// entry checks the record of the next entry and adds its hashes.
func (v *verifier) entry(seq int64, value []byte) error {
	e, stored, err := parseRecord(seq, value)
	if err != nil {
		return err
	}
	for level, h := range v.tree.add(tlog.Hash(stored[:tlog.HashSize])) {
		if !bytes.Equal(h[:], stored[level*tlog.HashSize:][:tlog.HashSize]) {
			first := seq >> level << level
			return &TamperError{Changed, first, seq, fmt.Sprintf(
				"entries %d to %d, or the hash over them, were changed", first, seq)}
		}
	}
	v.event(e)
	return nil
}

// event notes an event that was checked.
func (v *verifier) event(e Event) {
	if v.report.First.IsZero() {
		v.report.First = e.Time
	}
	if e.Action == AuthorityRestore && e.Decision == Allow && v.restored == nil {
		v.restored = &e
	}
	v.report.Last = e.Time
	v.report.Size++
}

// checkpoints checks those whose size has been reached.
func (v *verifier) checkpoints() error {
	for ; len(v.pending) > 0 && v.pending[0].Size == v.report.Size; v.pending = v.pending[1:] {
		if v.pending[0].Root != v.tree.root() {
			return v.unless(v.pending[0], rewritten(v.report.Covered, v.pending[0]))
		}
		v.restored = nil
		v.report.Checkpoints++
		v.report.Covered = v.report.Size
	}
	return nil
}

// unless returns err, that the log disagrees with c, or that c is from before a restore.
func (v *verifier) unless(c Checkpoint, err error) error {
	if v.restored != nil && v.restored.Seq < c.Size {
		return &RestoredError{Seq: v.restored.Seq, Time: v.restored.Time, Size: c.Size}
	}
	return err
}
