package audit

import (
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A Kind is a way in which a log was tampered with.
type Kind string

// The kinds.
const (
	Changed   Kind = "changed"   // an entry differs from what was recorded
	Removed   Kind = "removed"   // an entry is missing before later ones
	Reordered Kind = "reordered" // an entry lies at another's position
	Added     Kind = "added"     // an entry lies beyond the log's size, or the size was lowered
	CutOff    Kind = "cut off"   // the log ends before a checkpoint of it
	Rewritten Kind = "rewritten" // entries and all hashes were replaced, against a checkpoint
)

// A TamperError says that the log differs from what was recorded, because somebody
// changed it or because the file is damaged. In either case, keep the file as evidence
// and restore a backup that verifies.
type TamperError struct {
	Kind        Kind
	First, Last int64  // the entries concerned, as closely as the hashes tell
	Detail      string // for people
}

func (e *TamperError) Error() string { return "audit log was tampered with: " + e.Detail }

// A RestoredError says that a checkpoint cannot agree with the log, because a backup from
// before the checkpoint was put in the place of the store. The log alone cannot prove that
// this was all: only the store that was replaced agrees with the checkpoint.
type RestoredError struct {
	Seq  int64 // of the event that records the restore
	Time time.Time
	Size int64 // of the checkpoint
}

func (e *RestoredError) Error() string {
	return fmt.Sprintf("the checkpoint at size %d is from before a restore: entry %d says that a backup was put in the place of the store at %s; "+
		"check the checkpoint against the store that was replaced, and keep a new one", e.Size, e.Seq, e.Time.Format(time.RFC3339))
}

func changed(seq int64) error {
	return &TamperError{Changed, seq, seq, fmt.Sprintf("entry %d was changed", seq)}
}

func removed(first, last int64) error {
	if first == last {
		return &TamperError{Removed, first, last, fmt.Sprintf("entry %d is missing: it was removed", first)}
	}
	return &TamperError{Removed, first, last, fmt.Sprintf("entries %d to %d are missing: they were removed", first, last)}
}

func added(seq, size int64) error {
	return &TamperError{Added, seq, seq, fmt.Sprintf(
		"entry %d is there although the log's size is %d: it was added, or the size was lowered", seq, size)}
}

func reordered(seq, holds int64) error {
	return &TamperError{Reordered, seq, seq, fmt.Sprintf("entry %d holds entry %d: they were reordered", seq, holds)}
}

func cutOff(size int64, c Checkpoint) error {
	return &TamperError{CutOff, size, c.Size - 1, fmt.Sprintf(
		"the log ends at size %d but a checkpoint of it has size %d: it was cut off", size, c.Size)}
}

func rewritten(good int64, c Checkpoint) error {
	from := "the start"
	if good > 0 {
		from = fmt.Sprintf("the good checkpoint at size %d", good)
	}
	return &TamperError{Rewritten, good, c.Size - 1, fmt.Sprintf(
		"entries between %s and the checkpoint at size %d were rewritten", from, c.Size)}
}

// parseRecord parses the record of seq and checks the event against the leaf hash beside
// it.
func parseRecord(seq int64, value []byte) (Event, []byte, error) {
	n := hashes(seq) * tlog.HashSize
	if len(value) < n || tlog.RecordHash(value[n:]) != tlog.Hash(value[:tlog.HashSize]) {
		if other, ok := misplaced(value); ok && other != seq {
			return Event{}, nil, reordered(seq, other)
		}
		return Event{}, nil, changed(seq)
	}
	e, err := parseEvent(value[n:])
	if err != nil {
		return Event{}, nil, &TamperError{Changed, seq, seq, fmt.Sprintf("entry %d was changed: %v", seq, err)}
	}
	if e.Seq != seq {
		return Event{}, nil, reordered(seq, e.Seq)
	}
	return e, value[:n], nil
}

// misplaced returns the position for which an intact record was made. Records of other
// positions may begin with another number of hashes.
func misplaced(value []byte) (int64, bool) {
	for n := tlog.HashSize; n < len(value) && n < 64*tlog.HashSize; n += tlog.HashSize {
		if value[n] == '{' && tlog.RecordHash(value[n:]) == tlog.Hash(value[:tlog.HashSize]) {
			e, err := parseEvent(value[n:])
			return e.Seq, err == nil
		}
	}
	return 0, false
}
