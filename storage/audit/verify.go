package audit

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/storage"
)

// A Report says what [Verify] found to be intact.
type Report struct {
	Size        int64     `json:"size"` // how many entries, from the first
	Root        tlog.Hash `json:"root"` // the root hash at that size
	First       time.Time `json:"first,omitzero"`
	Last        time.Time `json:"last,omitzero"`
	Checkpoints int       `json:"checkpoints"` // how many of them agree
	Covered     int64     `json:"covered"`     // the size of the last of them: nothing proves later entries
}

// Verify reads the whole log, once and in bounded memory, and recomputes all hashes. Pass
// checkpoints from [OpenCheckpoint], in any order. If the log differs from what was
// recorded, the error is a [TamperError] and the report covers the entries before that
// place. A million entries take a few seconds, during which the transaction stays open.
func Verify(tx storage.Tx, checkpoints ...Checkpoint) (Report, error) {
	size, err := Size(tx)
	if err != nil {
		return Report{}, err
	}
	v := verifier{pending: slices.Clone(checkpoints)}
	slices.SortStableFunc(v.pending, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	err = v.log(tx, size)
	v.report.Root = v.root()
	return v.report, err
}

// A verifier walks the log. The zero value stands before its first entry.
type verifier struct {
	report  Report
	pending []Checkpoint // not reached yet, ordered by size

	restored *Event // the first restore after the last checkpoint that agrees

	// trees holds the hashes of the complete subtrees that make up the log so far:
	// one of 1<<i leaves if bit i of the size is set (RFC 6962, 2.1).
	trees [64]tlog.Hash
}

func (v *verifier) log(tx storage.Tx, size int64) error {
	if err := v.checkpoints(); err != nil {
		return err
	}
	for k, value := range tx.Scan(table, "") {
		next := v.report.Size
		if len(k) != 8 || binary.BigEndian.Uint64([]byte(k)) > maxSize {
			return &TamperError{Added, next, next, fmt.Sprintf("key %q is in the log, which is no position", k)}
		}
		seq := int64(binary.BigEndian.Uint64([]byte(k)))
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
	h := tlog.Hash(stored[:tlog.HashSize])
	level := 0
	for ; seq>>level&1 == 1; level++ {
		h = tlog.NodeHash(v.trees[level], h)
		if !bytes.Equal(h[:], stored[(level+1)*tlog.HashSize:][:tlog.HashSize]) {
			first := seq >> (level + 1) << (level + 1)
			return &TamperError{Changed, first, seq, fmt.Sprintf(
				"entries %d to %d, or the hash over them, were changed", first, seq)}
		}
	}
	v.trees[level] = h
	if v.report.Size == 0 {
		v.report.First = e.Time
	}
	if e.Action == AuthorityRestore && e.Decision == Allow && v.restored == nil {
		v.restored = &e
	}
	v.report.Last = e.Time
	v.report.Size++
	return nil
}

// checkpoints checks those whose size has been reached.
func (v *verifier) checkpoints() error {
	for ; len(v.pending) > 0 && v.pending[0].Size == v.report.Size; v.pending = v.pending[1:] {
		if v.pending[0].Root != v.root() {
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

// root folds the subtrees, from the smallest, into the root hash.
func (v *verifier) root() tlog.Hash {
	size := uint64(v.report.Size)
	if size == 0 {
		h, _ := tlog.TreeHash(0, nil) // the hash of the empty log
		return h
	}
	level := bits.TrailingZeros64(size)
	h := v.trees[level]
	for level++; size>>level > 0; level++ {
		if size>>level&1 == 1 {
			h = tlog.NodeHash(v.trees[level], h)
		}
	}
	return h
}
