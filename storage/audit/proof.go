package audit

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/storage"
)

// proveInclusion returns the proof that the log at a size has the event at a
// position: RFC 6962, section 2.1.1.
func proveInclusion(tx storage.Tx, seq, size int64) (tlog.RecordProof, error) {
	now, err := Size(tx)
	if err != nil {
		return nil, err
	}
	if seq < 0 || seq >= size || size > now {
		return nil, fmt.Errorf("proving entry %d at size %d: the log has size %d: %w", seq, size, now, storage.ErrNotFound)
	}
	return tlog.ProveRecord(size, seq, reader(tx))
}

// checkInclusion checks that exactly e is in the log of c.
func checkInclusion(p tlog.RecordProof, c Checkpoint, e Event) error {
	if c.Size < 0 || c.Size > maxSize {
		return fmt.Errorf("checkpoint has size %d, which no log has", c.Size)
	}
	if err := tlog.CheckRecord(p, c.Size, c.Root, e.Seq, tlog.RecordHash(appendEvent(nil, &e))); err != nil {
		return fmt.Errorf("entry %d is not proven to be in the log at size %d: %w", e.Seq, c.Size, err)
	}
	return nil
}

// ProveConsistency returns the proof that the log at a newer size begins with the log at
// an older size (RFC 6962, section 2.1.2). The proof from size 0 is empty.
func ProveConsistency(tx storage.Tx, older, newer int64) (tlog.TreeProof, error) {
	now, err := Size(tx)
	if err != nil {
		return nil, err
	}
	if older < 0 || older > newer || newer > now {
		return nil, fmt.Errorf("proving size %d from size %d: the log has size %d: %w", newer, older, now, storage.ErrNotFound)
	}
	if older == 0 {
		return nil, nil
	}
	return tlog.ProveTree(newer, older, reader(tx))
}

// CheckConsistency checks that the log of newer begins with the log of older.
func CheckConsistency(p tlog.TreeProof, older, newer Checkpoint) error {
	if older.Origin != newer.Origin {
		return fmt.Errorf("checkpoints are of two logs, %q and %q", older.Origin, newer.Origin)
	}
	if older.Size < 0 || older.Size > newer.Size || newer.Size > maxSize {
		return fmt.Errorf("checkpoint of size %d is not older than one of size %d", older.Size, newer.Size)
	}
	var err error
	if older.Size > 0 {
		err = tlog.CheckTree(p, newer.Size, newer.Root, older.Size, older.Root)
	} else if empty, _ := tlog.TreeHash(0, nil); older.Root != empty || len(p) > 0 || newer.Size == 0 && newer.Root != empty {
		err = errors.New("size 0 has one root hash and needs no proof")
	}
	if err != nil {
		return fmt.Errorf("the log at size %d is not proven to begin with that at size %d: %w", newer.Size, older.Size, err)
	}
	return nil
}
