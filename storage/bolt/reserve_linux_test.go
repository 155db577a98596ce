package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// smallDisk mounts a disk of some size, which ends with the test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		peer.Missing(t, "this test mounts a small disk, for which it must be root: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room that is left on a disk, and returns what gives it back.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	name := filepath.Join(dir, "other")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// record is about what a revocation writes: two records in tables of some size.
func record(key string) func(storage.Tx) error {
	return func(tx storage.Tx) error {
		return errors.Join(tx.Put("state", key, make([]byte, 300)), tx.Put("log", key, make([]byte, 400)))
	}
}

// soon waits for something that the store tries again every second.
func soon(t *testing.T, what string, try func() error) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func TestUrgentWritesHaveAReserve(t *testing.T) {
	dir := smallDisk(t, "24m")
	path := filepath.Join(dir, "brevet.db")
	db := open(t, path)
	ctx, urgent := context.Background(), storage.Urgent(context.Background())
	update(t, db, record("first"))
	empty := fill(t, dir)

	var err error
	kept := 1
	for ; err == nil && kept < 100_000; kept++ {
		err = db.Update(ctx, func(tx storage.Tx) error {
			for i := range 500 {
				if err := record(fmt.Sprintf("a%06d-%03d", kept, i))(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if !errors.Is(err, storage.ErrFull) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("after %d writes on a full disk: %v", kept, err)
	}
	if trouble := db.Trouble(); !errors.Is(trouble, storage.ErrFull) {
		t.Errorf("Trouble: %v", trouble)
	}
	ran := false
	err = db.Update(ctx, func(storage.Tx) error { ran = true; return nil })
	if !errors.Is(err, storage.ErrFull) || ran {
		t.Errorf("another write: %v, and ran: %v", err, ran)
	}
	for i := range 2000 {
		if err := db.Update(urgent, record(fmt.Sprintf("z%06d", i))); err != nil {
			t.Fatalf("urgent write %d: %v", i, err)
		}
	}
	if err := db.Check(ctx); err != nil {
		t.Error(err)
	}

	empty()
	soon(t, "a write after there was room again", func() error { return db.Update(ctx, record("last")) })
	if trouble := db.Trouble(); trouble != nil {
		t.Errorf("Trouble after that: %v", trouble)
	}
	if err := errors.Join(db.Close(), bolt.Verify(path)); err != nil {
		t.Error(err)
	}
}

// TestFullStoreGoesOnWithWhatItFreed never gives the disk room again.
func TestFullStoreGoesOnWithWhatItFreed(t *testing.T) {
	dir := smallDisk(t, "24m")
	db := open(t, filepath.Join(dir, "brevet.db"))
	ctx := context.Background()
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = db.Update(ctx, func(tx storage.Tx) error { return tx.Put("hour", fmt.Sprintf("%04d", i), make([]byte, 100_000)) })
	}
	if !errors.Is(err, storage.ErrFull) {
		t.Fatalf("the store does not fill its disk: %v", err)
	}
	if err := db.Update(storage.Urgent(ctx), func(tx storage.Tx) error { return tx.Drop("hour") }); err != nil {
		t.Fatal(err)
	}
	soon(t, "a write after the old records were dropped", func() error { return db.Update(ctx, record("k")) })
}

func TestStoreOpensOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, "24m")
	path := filepath.Join(dir, "brevet.db")
	db := open(t, path)
	update(t, db, record("k"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	fill(t, dir)
	db = open(t, path)
	if err := db.Update(storage.Urgent(context.Background()), record("l")); err != nil {
		t.Error(err)
	}
}

// TestStoreOpensWithoutItsReserve takes a store as it was before there was a
// reserve: what lies behind its last page takes no room on the disk.
func TestStoreOpensWithoutItsReserve(t *testing.T) {
	dir := smallDisk(t, "24m")
	path, moved := filepath.Join(dir, "before.db"), filepath.Join(dir, "brevet.db")
	db := open(t, path)
	update(t, db, record("k"))
	backup, err := os.Create(moved)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Backup(context.Background(), backup), backup.Truncate(16<<20), backup.Close(), db.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	empty := fill(t, dir)
	db = open(t, moved)
	if err := db.Update(context.Background(), record("l")); !errors.Is(err, storage.ErrFull) {
		t.Errorf("a write: %v", err)
	}
	if trouble := db.Trouble(); !errors.Is(trouble, storage.ErrFull) {
		t.Errorf("Trouble: %v", trouble)
	}
	empty()
	soon(t, "a write after there was room again", func() error { return db.Update(context.Background(), record("l")) })
	if got := blocks(t, moved); got < 4<<20 {
		t.Errorf("the file takes %d bytes of the disk, which leaves no reserve", got)
	}
}

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// TestFailedBackupOnAFullDisk leaves the store as it was.
func TestFailedBackupOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, "24m")
	db := open(t, filepath.Join(dir, "brevet.db"))
	update(t, db, record("k"))
	fill(t, dir)
	f, err := os.Create(filepath.Join(dir, "backup"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := db.Backup(context.Background(), io.MultiWriter(f, io.Discard)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Backup: %v", err)
	}
	if err := db.Check(context.Background()); err != nil {
		t.Error(err)
	}
}
