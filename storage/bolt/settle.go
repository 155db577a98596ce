package bolt

import (
	"errors"
	"fmt"
	"time"
)

// settle finds out what a failed commit left, and returns nil if the commit is there
// after all. Usually the file has the state before it, and the next commit may succeed,
// for example when the disk has been cleared. But if the page that makes a commit valid
// was written and only its fsync failed, nobody can tell what a crash would leave, and
// the kernel may report the next fsync as good without having kept that page. So the
// page is written again until an fsync succeeds. Until then nothing is read or written:
// a reader could see something that a crash undoes, and the next commit would use pages
// that the previous state needs.
func (db *DB) settle(id int, cause error) error {
	durable := db.horizon.Load().durable
	if last, err := db.lastID(); err == nil && last != id {
		db.show(durable)
		db.setTrouble(db.commitError(cause))
		return db.commitError(cause)
	}
	broken := fmt.Errorf("the database %s cannot be used: a commit failed with its outcome unknown (%w); check the disk, brevet tries again by itself", db.path, cause)
	db.broken.Store(&broken)
	db.show(durable) // not the commit in question; Views fail from now on
	if db.mend() {
		return nil
	}
	return broken
}

// mend tries to settle an unknown outcome, and reports whether it did. No View may be
// running: after a failed commit, bbolt frees pages that only Views of the previous
// state still read.
func (db *DB) mend() bool {
	if time.Since(db.mended) < retryAfter || !db.reading.TryLock() {
		return false
	}
	defer db.reading.Unlock()
	db.mended = time.Now()
	if db.confirm() != nil {
		return false
	}
	id, err := db.lastID()
	if err != nil {
		return false
	}
	db.show(id)
	db.mended = time.Time{}
	db.broken.Store(nil)
	db.setTrouble(nil)
	db.tell() // of the commit whose outcome was unknown
	return true
}

// confirm makes the state that is read the one on the disk. The first two pages say
// which state that is, and confirm writes them again as they are.
func (db *DB) confirm() error {
	pages := make([]byte, 2*db.bolt.Info().PageSize)
	_, err := db.file.ReadAt(pages, 0)
	if err == nil {
		_, err = db.file.WriteAt(pages, 0)
	}
	return errors.Join(err, db.flush())
}
