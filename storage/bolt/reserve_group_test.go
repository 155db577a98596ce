package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

// TestUrgentMemberOutlivesItsGroup has a disk on which a commit of several
// members has no room.
func TestUrgentMemberOutlivesItsGroup(t *testing.T) {
	members := []*member{
		{fn: put("t", "a", "1")},
		{fn: put("t", "b", "2"), ctx: storage.Urgent(context.Background())},
		{fn: then(holds("t", "a=1", "b=2"), fails), ctx: storage.Urgent(context.Background())},
		{fn: put("t", "c", "3"), ctx: storage.Urgent(context.Background())},
	}
	prepare := func(db *DB) {
		first := true
		db.commit = func(b *bbolt.Tx) error {
			if first {
				first = false
				return errors.Join(&os.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}, b.Rollback())
			}
			return b.Commit()
		}
	}
	path := newPath(t)
	inGroup(t, path, members, prepare, func(db *DB) {
		if err := members[0].err; !errors.Is(err, storage.ErrFull) || !strings.HasPrefix(err.Error(), "committing: ") {
			t.Errorf("the member that can wait: %v", err)
		}
		if members[1].err != nil || members[3].err != nil {
			t.Errorf("urgent members: %v, %v", members[1].err, members[3].err)
		}
		// The group was rolled back, so the third member sees less when it runs alone.
		if err := members[2].err; err == nil || errors.Is(err, storage.ErrFull) {
			t.Errorf("an urgent member that failed by itself: %v", err)
		}
		if err := db.View(context.Background(), holds("t", "b=2", "c=3")); err != nil {
			t.Error(err)
		}
	})
}

// TestUrgentMembersFailAlone has a disk on which nothing can be written.
func TestUrgentMembersFailAlone(t *testing.T) {
	members := []*member{{fn: put("t", "a", "1")}, {fn: put("t", "b", "2"), ctx: storage.Urgent(context.Background())}}
	commits := 0
	prepare := func(db *DB) {
		db.commit = func(b *bbolt.Tx) error {
			commits++
			return errors.Join(syscall.EIO, b.Rollback())
		}
	}
	inGroup(t, newPath(t), members, prepare, func(db *DB) {
		for i, m := range members {
			if !errors.Is(m.err, syscall.EIO) || errors.Is(m.err, storage.ErrFull) {
				t.Errorf("member %d: %v", i, m.err)
			}
		}
		if commits != 2 {
			t.Errorf("%d commits were tried, want one of the group and one more of the urgent member", commits)
		}
		if err := db.Trouble(); !errors.Is(err, syscall.EIO) {
			t.Errorf("Trouble: %v", err)
		}
		db.commit = (*bbolt.Tx).Commit
		if err := db.Update(context.Background(), put("t", "k", "v")); err != nil || db.Trouble() != nil {
			t.Errorf("afterwards: %v, %v", err, db.Trouble())
		}
	})
}

// A commit whose last fsync fails is good as soon as what it wrote last could be
// written again.
func TestUnknownOutcomeIsSettledByWritingAgain(t *testing.T) {
	path := newPath(t)
	db, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	db.commit = func(b *bbolt.Tx) error { return errors.Join(b.Commit(), syscall.EIO) }
	if err := db.Update(ctx, put("t", "a", "1")); err != nil {
		t.Errorf("an outcome that could be settled at once: %v", err)
	}

	disk := syscall.EIO
	db.flush = func() error {
		if disk != 0 {
			return disk
		}
		return db.file.Sync()
	}
	if err := db.Update(ctx, put("t", "b", "2")); !errors.Is(err, syscall.EIO) {
		t.Errorf("an outcome that cannot be settled: %v", err)
	}
	if err := db.View(ctx, holds("t")); !errors.Is(err, syscall.EIO) {
		t.Errorf("reading meanwhile: %v", err)
	}
	if err := db.Trouble(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Trouble meanwhile: %v", err)
	}
	disk, db.commit, db.mended = 0, (*bbolt.Tx).Commit, db.mended.Add(-retryAfter)
	if err := db.Update(ctx, then(holds("t", "a=1", "b=2"), put("t", "c", "3"))); err != nil {
		t.Errorf("after the disk was well again: %v", err)
	}
	if err := errors.Join(db.Trouble(), db.View(ctx, holds("t", "a=1", "b=2", "c=3")), db.Close(), Verify(path)); err != nil {
		t.Error(err)
	}
}

// TestOpeningSettlesToo: another process may have left the outcome unknown, and
// the system still show what the disk does not have.
func TestOpeningSettlesToo(t *testing.T) {
	db, err := Open(newPath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for disk, want := range map[syscall.Errno]bool{syscall.EIO: true, syscall.ENOSPC: false} {
		db.flush = func() error { return disk }
		if err := db.prepare(); errors.Is(err, disk) != want {
			t.Errorf("opening with %v: %v", disk, err)
		}
	}
}

// TestSettlingWaitsForReaders has a reader whose pages the next commit might
// take: bbolt forgets about readers when a commit fails.
func TestSettlingWaitsForReaders(t *testing.T) {
	db, err := Open(newPath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	if err := db.Update(ctx, put("t", "a", "1")); err != nil {
		t.Fatal(err)
	}
	db.commit = func(b *bbolt.Tx) error { return errors.Join(b.Commit(), syscall.EIO) }
	err = db.View(ctx, func(tx storage.Tx) error {
		if err := db.Update(ctx, put("t", "a", "2")); !errors.Is(err, syscall.EIO) {
			t.Errorf("Update beside a reader: %v", err)
		}
		return holds("t", "a=1")(tx)
	})
	if err != nil {
		t.Error(err)
	}
	db.commit = (*bbolt.Tx).Commit
	if err := db.Update(ctx, then(holds("t", "a=2"), put("t", "b", ""))); err != nil {
		t.Errorf("Update after the reader ended: %v", err)
	}
}

func TestRefusalIsEarly(t *testing.T) {
	members := []*member{
		{fn: put("t", "a", "1")},
		{fn: put("t", "b", "2"), ctx: storage.Urgent(context.Background())},
		{fn: func(storage.Tx) error { return fmt.Errorf("this ran") }},
	}
	inGroup(t, newPath(t), members, func(db *DB) { db.room.take = noRoom }, func(db *DB) {
		if err := members[0].err; err != nil {
			t.Errorf("while the file has a reserve: %v", err)
		}
		db.room.end = 0 // as if it were spent
		ctx := context.Background()
		if err := db.Update(ctx, members[2].fn); !errors.Is(err, storage.ErrFull) || strings.Contains(err.Error(), "this ran") {
			t.Errorf("when it is spent: %v", err)
		}
		if err := db.Update(storage.Urgent(ctx), put("t", "c", "3")); err != nil {
			t.Errorf("an urgent write then: %v", err)
		}
	})
}

func noRoom(_ *os.File, from, _ int64) (int64, error) { return from, syscall.ENOSPC }
