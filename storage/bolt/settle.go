package bolt

import (
	"errors"
	"fmt"
	"time"
)

// settle looks at what a failed commit left, and returns nil if that is the
// commit after all. Mostly it is the state before, and the next commit may
// succeed: a full disk can be cleared. But if the page that makes a commit
// valid was written and only its fsync failed, nobody can tell what a crash
// would leave, and the kernel may report the next fsync as good without having
// kept that page. So it is written again until an fsync says that it is kept;
// meanwhile nothing is read or written, for nothing that is seen would be sure
// to outlast a crash, and the next commit would use pages that the state before
// needs.
func (db *DB) settle(id int, cause error) error {
	b, err := db.bolt.Begin(false)
	if err == nil {
		last := b.ID()
		if err = b.Rollback(); err == nil && last != id {
			db.setTrouble(db.commitError(cause))
			return db.commitError(cause)
		}
	}
	broken := fmt.Errorf("the database %s cannot be used: a commit failed with its outcome unknown (%w); check the disk, brevet tries again by itself", db.path, cause)
	db.broken.Store(&broken)
	if db.mend() {
		return nil
	}
	return broken
}

// mend tries to settle an unknown outcome, and reports whether it did. No View
// may be under way: when a commit fails, bbolt makes pages free that only Views
// of the state before are looking at.
func (db *DB) mend() bool {
	if time.Since(db.mended) < retryAfter || !db.reading.TryLock() {
		return false
	}
	defer db.reading.Unlock()
	db.mended = time.Now()
	if db.confirm() != nil {
		return false
	}
	db.mended = time.Time{}
	db.broken.Store(nil)
	db.setTrouble(nil)
	return true
}

// confirm sees to it that the state that is read is the one on the disk. The
// two pages at the start say which that is: they are written as they are.
func (db *DB) confirm() error {
	pages := make([]byte, 2*db.bolt.Info().PageSize)
	_, err := db.file.ReadAt(pages, 0)
	if err == nil {
		_, err = db.file.WriteAt(pages, 0)
	}
	return errors.Join(err, db.flush())
}
