package bolt

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

// reserve is how much unused room, already allocated on the disk, the file always has
// for urgent transactions. Other transactions are refused before they use it. It is in
// the file itself, so that no other program that fills the disk can take it.
//
// A revocation writes about 20 pages and frees as many for the transaction after the
// next, so it consumes only its records for good, about 1 kB. 4 MB are 1000 pages at
// once or thousands of revocations. The largest group, 256 members that touch two
// scattered pages each, needs half of it.
const reserve = 4 << 20

// ahead is how much room is allocated at once, beyond the reserve.
const ahead = 4 << 20

// spareAgain is how much room ends the refusals on a full disk.
const spareAgain = reserve + ahead/4

// retryAfter is how long we wait before asking a full disk for room again: some file
// systems take long to find out that they are full.
const retryAfter = time.Second

// room keeps track of the file's room. Only the holder of the group uses it.
type room struct {
	end    int64     // the file's blocks before this byte are on the disk
	failed time.Time // when the disk last refused
	full   error     // why transactions that are not urgent are refused
	spare  int64     // the room that there was when the group began
	take   func(f *os.File, from, to int64) (int64, error)
}

// makeRoom ensures that the file has room for a group beyond the reserve, or else that
// only urgent members join it. used is the end of the pages that were ever used; some
// of them are free.
func (db *DB) makeRoom(used int64) {
	r := &db.room
	r.end = max(r.end, used)
	free := int64(db.bolt.Stats().FreePageN) * int64(db.bolt.Info().PageSize)
	enough := func() bool {
		r.spare = r.end - used + free
		db.spare.Store(r.spare)
		if r.full != nil { // a few transactions' pages come and go
			return r.spare >= spareAgain
		}
		return r.spare >= reserve
	}
	if enough() {
		db.setFull(nil)
		return
	}
	if time.Since(r.failed) < retryAfter {
		return
	}
	err := db.extend(used, reserve+ahead-free)
	switch {
	case enough():
		db.setFull(nil)
	case isFull(err):
		r.failed = time.Now()
		db.setFull(db.fullError())
	default:
		r.failed = time.Now() // the next commit will show
	}
}

func (db *DB) fullError() error {
	return fmt.Errorf("%w: until there is room again on the disk of %s, nothing but revocations is recorded; clear some, nothing needs restarting", storage.ErrFull, db.path)
}

// floors say how much room a transaction must leave to those that are more urgent.
var floors = [...]int64{storage.NotUrgent: reserve, storage.HalfUrgent: reserve / 2, storage.WhollyUrgent: 0}

// admits reports whether one more transaction may join g on a full disk.
func (r *room) admits(g *group, u storage.Urgency) bool {
	return u == storage.WhollyUrgent || u == storage.HalfUrgent && r.spare-g.need-new(tx).need() >= floors[u]
}

// fits returns an error if the commit of g could take room that its members must leave to
// others: a group of many large transactions may have begun when there was just enough.
func (db *DB) fits(g *group) error {
	r := &db.room
	left := func() int64 { return r.spare - g.need }
	if g.floor == 0 || left() >= g.floor {
		return nil
	}
	before := r.end
	err := db.extend(g.b.Size(), g.floor+g.need+ahead+r.end-g.b.Size()-r.spare)
	if r.spare += r.end - before; left() >= g.floor || !isFull(err) {
		return nil // or the commit will show
	}
	if r.spare < spareAgain { // smaller groups will not fit for long
		r.failed = time.Now()
		db.setFull(db.fullError())
	}
	return fmt.Errorf("committing: %w", db.fullError())
}

// extend allocates room on the disk so that want bytes follow the used pages, or as much
// as there is.
func (db *DB) extend(used, want int64) (err error) {
	r, end := &db.room, used+want
	if limit := int64(maxSize()); limit > 0 {
		end = min(end, limit)
	}
	before := r.end
	if r.end, err = r.take(db.file, r.end, end); r.end == before {
		return err
	}
	return errors.Join(err, db.file.Sync()) // as bbolt does when it makes the file longer
}

func (db *DB) setFull(full error) {
	if (full == nil) == (db.room.full == nil) {
		return
	}
	db.room.full = full
	db.setTrouble(full)
}

// setTrouble notes why the store refuses transactions; nil means that it does not.
func (db *DB) setTrouble(err error) {
	if err == nil {
		db.trouble.Store(nil)
		return
	}
	db.trouble.Store(&err)
}

// Trouble returns why the store refuses transactions now, or nil. It ends when a
// transaction succeeds.
func (db *DB) Trouble() error {
	if broken := db.broken.Load(); broken != nil {
		return *broken
	}
	if trouble := db.trouble.Load(); trouble != nil {
		return *trouble
	}
	return nil
}

// isFull reports whether a disk, a quota or a limit is exhausted.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// commitError describes why a commit failed.
func (db *DB) commitError(err error) error {
	if isFull(err) {
		return fmt.Errorf("committing: %w: make room on the disk of %s, nothing needs restarting: %w", storage.ErrFull, db.path, err)
	}
	return fmt.Errorf("committing: %w", err)
}

// writeZeros allocates room on the disk and returns how far it got. Writing zeros is
// cheaper in the end than fallocate: on ext4 and XFS, a commit to blocks that were
// never written also writes to the file system's journal. File systems that never write
// in place give no reserve.
func writeZeros(f *os.File, from, to int64) (int64, error) {
	zeros := make([]byte, 64<<10)
	for from < to {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-from)], from)
		from += int64(n)
		if err != nil {
			return from, err
		}
	}
	return from, nil
}

// findRoom finds out what room the file already has: the blocks beyond its pages.
func (db *DB) findRoom() error {
	var used int64
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		used = tx.Size()
		return nil
	})
	if err != nil {
		return err
	}
	info, err := db.file.Stat()
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		db.room.end = min(info.Size(), st.Blocks*512)
	}
	db.makeRoom(used)
	return nil
}
