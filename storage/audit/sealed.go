package audit

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/storage"
)

// The tables of what has left the store. The keys of the segments are positions, as those
// of the log are.
const (
	segmentTable = storage.Table[Segment]("audit.segments")
	sealedTable  = storage.Table[sealed]("audit.sealed")
	sealedKey    = "head"
)

// A sealed says where the log in the store begins, and has what proofs of later events need
// of the tree before that.
type sealed struct {
	Log    string      `json:"log"` // the log's name
	Size   int64       `json:"size"`
	Before []tlog.Hash `json:"before"` // see header
}

// head returns where the log in the store begins, and the tree of what is before it.
func head(tx storage.Tx) (log string, t tree, err error) {
	s, err := sealedTable.Get(tx, sealedKey)
	if errors.Is(err, storage.ErrNotFound) {
		return "", tree{}, nil
	}
	if err != nil {
		return "", tree{}, err
	}
	t, ok := treeOf(s.Size, s.Before)
	if !ok {
		return "", tree{}, &TamperError{Kind: Changed, Detail: "the record of the segments is not one"}
	}
	return s.Log, t, nil
}

// Sealed returns how many events have left the store for segments, and, if any have, the
// name of the log that is in their checkpoints.
func Sealed(tx storage.Tx) (size int64, log string, err error) {
	log, t, err := head(tx)
	return t.size, log, err
}

// An Extent says where the events of the log are.
type Extent struct {
	Segments int       // how many there are
	Sealed   int64     // events in segments
	Kept     int64     // events in the store
	Since    time.Time // when the first of these was recorded
}

// ExtentOf returns where the events are.
func ExtentOf(tx storage.Tx) (e Extent, err error) {
	size, err := Size(tx)
	if err != nil {
		return e, err
	}
	if e.Sealed, _, err = Sealed(tx); err != nil {
		return e, err
	}
	for _, err := range Segments(tx) {
		if err != nil {
			return e, err
		}
		e.Segments++
	}
	if e.Kept = size - e.Sealed; e.Kept > 0 {
		first, err := get(tx, e.Sealed)
		if err != nil {
			return e, err
		}
		e.Since = first.Time
	}
	return e, nil
}

// sealedNode is node for a subtree whose last leaf is not in the store.
func sealedNode(tx storage.Tx, level int, n int64) (tlog.Hash, error) {
	_, t, err := head(tx)
	if err != nil {
		return tlog.Hash{}, err
	}
	if h, ok := t.node(level, n); ok {
		return h, nil
	}
	return tlog.Hash{}, missing(tx, &t, (n+1)<<level-1)
}

// missing returns why there is no event at a position: it is in a segment, or somebody
// removed it.
func missing(tx storage.Tx, t *tree, seq int64) error {
	if seq >= t.size {
		return removed(seq, seq)
	}
	s, ok, err := segmentOf(tx, seq)
	if err != nil {
		return err
	}
	if ok {
		return &SealedError{Segment: s}
	}
	return &TamperError{Removed, seq, seq, fmt.Sprintf("entry %d is missing: no segment has it", seq)}
}

// segmentOf returns the segment that has a position, if one has.
func segmentOf(tx storage.Tx, seq int64) (found Segment, ok bool, err error) {
	for s, err := range Segments(tx) {
		if err != nil {
			return Segment{}, false, err
		}
		if s.First <= seq && seq < s.Next {
			return s, true, nil
		}
	}
	return Segment{}, false, nil
}

// Segments yields the segments that the store has a record of, in their order.
func Segments(tx storage.Tx) iter.Seq2[Segment, error] { return segmentTable.Scan(tx, "") }

// A SealedError says that an event is in a segment, and no longer in the store.
type SealedError struct {
	Segment Segment
	Dir     string // where the segment's file was looked for, and is not; or ""
}

func (e *SealedError) Error() string {
	s := e.Segment
	where := "and not in the store"
	if e.Dir != "" {
		where = "which is not in " + e.Dir
	}
	return fmt.Sprintf("entries %d to %d are in the segment %s, %s", s.First, s.Next-1, s.Name(), where)
}
