package audit

import (
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
