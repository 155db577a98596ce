package bolt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

// A slowDisk delays the end of commits, which is their last fsync.
type slowDisk struct {
	written chan int   // a transaction whose last page was just written
	end     chan error // then: the result of its fsync
}

// slow makes the commits of db slow from now on. It must not be called during a commit.
func slow(db *DB) slowDisk {
	d := slowDisk{make(chan int), make(chan error)}
	db.commit = func(b *bbolt.Tx) error {
		id := b.ID()
		err := b.Commit()
		d.written <- id
		return errors.Join(err, <-d.end)
	}
	return d
}

// whileSlow runs Views while a commit that replaces t/k=1 by t/k=2 waits for its last
// fsync, which then ends with result. Without room, the engine keeps no snapshot.
func whileSlow(t *testing.T, room bool, result error, during func(db *DB, path string, finish func() error)) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		db, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Update(context.Background(), put("t", "k", "1")); err != nil {
			t.Fatal(err)
		}
		if !room {
			db.mapped = 0
		}
		disk, updated := slow(db), make(chan error)
		go func() { updated <- db.Update(context.Background(), put("t", "k", "2")) }()
		<-disk.written
		finish := sync.OnceValue(func() error {
			disk.end <- result
			err := <-updated
			db.commit = (*bbolt.Tx).Commit
			return err
		})
		defer func() { _ = finish() }()
		during(db, path, finish)
	})
}

func TestViewShowsWhatIsDurable(t *testing.T) {
	ctx := context.Background()
	whileSlow(t, true, nil, func(db *DB, path string, finish func() error) {
		for range 3 {
			if err := db.View(ctx, holds("t", "k=1")); err != nil {
				t.Errorf("while the commit waits for the disk: %v", err)
			}
		}
		if err := afterPowerCut(t, path, holds("t", "k=1")); err != nil {
			t.Errorf("after a power cut at that moment: %v", err)
		}
		// A View that began before the commit ended goes on with what it saw.
		err := db.View(ctx, func(tx storage.Tx) error {
			if err := finish(); err != nil {
				return err
			}
			for i := range 50 { // the pages of old states are used again
				if err := db.Update(ctx, put("t", fmt.Sprint(i%3), "x")); err != nil {
					return err
				}
			}
			return holds("t", "k=1")(tx)
		})
		if err != nil {
			t.Error(err)
		}
		if err := errors.Join(db.View(ctx, holds("t", "0=x", "1=x", "2=x", "k=2")), db.Check(ctx)); err != nil {
			t.Error(err)
		}
	})
}

// afterPowerCut copies the store at path as a power cut would leave it if the page
// that makes the last commit valid did not reach the disk. It runs fn on the copy.
func afterPowerCut(t *testing.T, path string, fn func(storage.Tx) error) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	newest := func() int { // by its transaction's ID
		metas := [2]uint64{}
		for i := range metas {
			copyID := file[i*os.Getpagesize()+16+48:]
			for n := range 8 {
				metas[i] |= uint64(copyID[n]) << (8 * n)
			}
		}
		if metas[0] > metas[1] {
			return 0
		}
		return 1
	}()
	clear(file[newest*os.Getpagesize():][:os.Getpagesize()])
	cut := newPath(t)
	if err := os.WriteFile(cut, file, 0o600); err != nil {
		return err
	}
	db, err := Open(cut, Options{})
	if err != nil {
		return err
	}
	return errors.Join(db.View(context.Background(), fn), db.Close())
}

// TestViewWaitsForTheDisk has no snapshot to fall back on.
func TestViewWaitsForTheDisk(t *testing.T) {
	whileSlow(t, false, nil, func(db *DB, _ string, finish func() error) {
		ctx, cancel := context.WithCancel(context.Background())
		given, waited := make(chan error, 1), make(chan error, 1)
		go func() {
			given <- db.View(ctx, func(storage.Tx) error { return errors.New("ran before its state was durable") })
		}()
		go func() { waited <- db.View(context.Background(), holds("t", "k=2")) }()
		synctest.Wait()
		cancel()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("a View whose context ends: %v", err)
		}
		synctest.Wait()
		select {
		case err := <-waited:
			t.Errorf("a View returned %v before its state was durable", err)
		default:
		}
		if err := finish(); err != nil {
			t.Error(err)
		}
		if err := <-waited; err != nil {
			t.Errorf("a View that waited: %v", err)
		}
	})
}

// TestViewOfFailedCommit has a commit whose last fsync fails, and a disk that then
// refuses to say which state it has.
func TestViewOfFailedCommit(t *testing.T) {
	ctx := context.Background()
	for _, room := range []bool{true, false} {
		whileSlow(t, room, syscall.EIO, func(db *DB, _ string, finish func() error) {
			disk := syscall.EIO
			db.flush = func() error {
				if disk != 0 {
					return disk
				}
				return db.file.Sync()
			}
			waited := make(chan error, 1)
			if !room {
				go func() { waited <- db.View(ctx, holds("t")) }()
				synctest.Wait()
			} else if err := db.View(ctx, holds("t", "k=1")); err != nil {
				t.Error(err)
			}
			if err := finish(); !errors.Is(err, syscall.EIO) {
				t.Errorf("the Update: %v", err)
			}
			if !room {
				if err := <-waited; !errors.Is(err, syscall.EIO) {
					t.Errorf("a View that waited: %v", err)
				}
			}
			if err := db.View(ctx, holds("t")); !errors.Is(err, syscall.EIO) {
				t.Errorf("a View meanwhile: %v", err)
			}
			disk, db.mended = 0, db.mended.Add(-retryAfter)
			if err := errors.Join(db.Update(ctx, holds("t", "k=2")), db.View(ctx, holds("t", "k=2"))); err != nil {
				t.Errorf("once the disk is well: %v", err)
			}
		})
	}
}

// TestCommitThatFailsEarly leaves what was durable before.
func TestCommitThatFailsEarly(t *testing.T) {
	db, err := Open(newPath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	if err := db.Update(ctx, put("t", "k", "1")); err != nil {
		t.Fatal(err)
	}
	db.commit = func(b *bbolt.Tx) error { return errors.Join(syscall.ENOSPC, b.Rollback()) }
	if err := db.Update(ctx, put("t", "k", "2")); !errors.Is(err, storage.ErrFull) {
		t.Error(err)
	}
	db.commit = (*bbolt.Tx).Commit
	if err := errors.Join(db.View(ctx, holds("t", "k=1")), db.Update(ctx, put("t", "k", "3")), db.View(ctx, holds("t", "k=3"))); err != nil {
		t.Error(err)
	}
}

// TestViewsNeverGoBack compares what Views see, by several readers that tell each
// other, with what has been committed.
func TestViewsNeverGoBack(t *testing.T) {
	db, err := Open(newPath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	if err := db.Update(ctx, put("t", "k", "0000")); err != nil {
		t.Fatal(err)
	}
	var durable string // by the commits that have returned, as a slow Update would tell
	var mu sync.Mutex
	seen := func() string { mu.Lock(); defer mu.Unlock(); return durable }
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		durable = max(durable, s)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				least := seen()
				err := db.View(ctx, func(tx storage.Tx) error {
					v, err := tx.Get("t", "k")
					if err == nil && string(v) < least {
						return fmt.Errorf("a View shows %s after another or an Update showed %s", v, least)
					}
					note(string(v))
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 100 {
		value := fmt.Sprintf("%04d", i)
		if err := db.Update(ctx, put("t", "k", value)); err != nil {
			t.Fatal(err)
		}
		note(value)
	}
	close(done)
	readers.Wait()
}

// TestCommitsDoNotOutgrowTheMap compares how much random commits write with the
// bound that mayKeep relies on.
func TestCommitsDoNotOutgrowTheMap(t *testing.T) {
	db, err := Open(newPath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	random := rand.New(rand.NewPCG(1, 2))
	var pages int64
	db.commit = func(b *bbolt.Tx) error {
		err := b.Commit()
		stats := b.Stats()
		pages = stats.GetPageAlloc() // in bytes
		return err
	}
	for range 60 {
		var size, before int64
		err := db.Update(context.Background(), func(store storage.Tx) error {
			tx := store.(*tx)
			before = tx.b.Size()
			most := 1 << random.IntN(15) // from tiny records to records of several pages
			for range random.IntN(200) {
				table, key := fmt.Sprint(random.IntN(5)), fmt.Sprint(random.IntN(3000))
				var err error
				if random.IntN(3) == 0 {
					err = tx.Delete(table, key)
				} else {
					err = tx.Put(table, key, make([]byte, random.IntN(most)))
				}
				if err != nil {
					return err
				}
			}
			size = tx.size
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if grown := before + pages; grown > 8*(before+size) {
			t.Errorf("a commit of %d bytes to a store of %d wrote %d", size, before, pages)
		}
	}
}
