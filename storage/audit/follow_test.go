package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// A countingDB counts Views.
type countingDB struct {
	*bolt.DB
	views atomic.Int64
}

func (c *countingDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	c.views.Add(1)
	return c.DB.View(ctx, fn)
}

// plainDB hides from db that it is a storage.Notifier.
type plainDB struct{ storage.DB }

func add(db storage.DB) error {
	return db.Update(context.Background(), func(tx storage.Tx) error {
		size, err := audit.Size(tx)
		if err == nil {
			_, err = audit.Append(tx, event(int(size)))
		}
		return err
	})
}

// follow checks that Follow yields the events from a position to last, each once
// and in order.
func follow(db storage.DB, from, last int64) error {
	next := from
	for some, err := range (audit.Log{DB: db}).Follow(context.Background(), from) {
		if err != nil || len(some) == 0 || len(some) > 1000 {
			return fmt.Errorf("a batch of %d events, %v", len(some), err)
		}
		for _, e := range some {
			if e.Seq != next {
				return fmt.Errorf("event %d came, want %d", e.Seq, next)
			}
			next++
		}
		if next > last {
			return nil
		}
	}
	return errors.New("it ended by itself")
}

// TestFollowSeesEachEventOnce: followers that begin anywhere, before and while many
// append, miss nothing and see nothing twice. Some append without an event, some fail.
func TestFollowSeesEachEventOnce(t *testing.T) {
	engine := openDB(t)
	for name, db := range map[string]storage.DB{"woken": engine, "polling": plainDB{engine}} {
		t.Run(name, func(t *testing.T) {
			var begin int64
			view(t, db, func(tx storage.Tx) (err error) { begin, err = audit.Size(tx); return err })
			const writers, each = 8, 60
			last := begin + writers*each - 1
			var all sync.WaitGroup
			for i := range 6 {
				from := begin
				if i > 0 {
					from += rand.Int64N(writers * each)
				}
				all.Go(func() {
					time.Sleep(time.Duration(i) * 10 * time.Millisecond)
					if err := follow(db, from, last); err != nil {
						t.Errorf("from %d: %v", from, err)
					}
				})
			}
			for i := range writers {
				all.Go(func() {
					for n := range each {
						if err := add(db); err != nil {
							t.Error(err)
						}
						if n%10 == i {
							_ = db.Update(context.Background(), func(tx storage.Tx) error {
								_, err := audit.Append(tx, event(0))
								return errors.Join(err, errors.New("not this one"))
							})
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// TestFollowIsWoken: however long nothing is committed, a follower does not look;
// then it looks at once.
func TestFollowIsWoken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "brevet.db")
	synctest.Test(t, func(t *testing.T) {
		engine, err := bolt.Open(path, bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		db := &countingDB{DB: engine}
		ctx, cancel := context.WithCancel(t.Context())
		seen, ended := make(chan int64, 10), make(chan bool)
		go func() {
			defer close(ended)
			for some, err := range (audit.Log{DB: db}).Follow(ctx, 0) {
				if err != nil {
					t.Error(err)
				}
				for _, e := range some {
					seen <- e.Seq
				}
			}
		}()
		for i := range int64(3) {
			synctest.Wait()
			looked := db.views.Load()
			time.Sleep(24 * time.Hour)
			if now := db.views.Load(); now != looked {
				t.Errorf("it looked %d times though nothing was committed", now-looked)
			}
			begun := time.Now()
			if err := add(engine); err != nil {
				t.Fatal(err)
			}
			if seq := <-seen; seq != i || time.Since(begun) != 0 {
				t.Errorf("event %d came after %v, want %d at once", seq, time.Since(begun), i)
			}
			synctest.Wait()
			if now := db.views.Load(); now > looked+1 {
				t.Errorf("it looked %d times at one commit", now-looked)
			}
		}
		cancel()
		<-ended
	})
}

// TestSlowFollowerDelaysNobody: a follower that never finishes a batch holds neither
// a transaction nor the store.
func TestSlowFollowerDelaysNobody(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, 2500)
	holding, release, result := make(chan int), make(chan bool), make(chan error, 1)
	go func() {
		var got []int
		for some, err := range (audit.Log{DB: db}).Follow(t.Context(), 0) {
			if err != nil {
				result <- err
				return
			}
			if got = append(got, len(some)); len(got) == 1 {
				holding <- len(some)
				<-release
			}
		}
	}()
	if n := <-holding; n != 1000 {
		t.Errorf("the first batch has %d events, want 1000", n)
	}
	fill(t, db, 10)
	if err := db.Close(); err != nil {
		t.Errorf("Close while a follower is busy: %v", err)
	}
	close(release)
	if err := <-result; !errors.Is(err, storage.ErrClosed) {
		t.Errorf("the follower ended with %v, want ErrClosed", err)
	}
}

func TestFollowEnds(t *testing.T) {
	for _, polling := range []bool{false, true} {
		engine, err := bolt.Open(filepath.Join(t.TempDir(), "brevet.db"), bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		db := storage.DB(engine)
		if polling {
			db = plainDB{engine}
		}
		fill(t, db, 1)
		run := func(ctx context.Context) (<-chan bool, <-chan error) {
			begun, ended := make(chan bool, 1), make(chan error, 1)
			go func() {
				var last error
				for _, err := range (audit.Log{DB: db}).Follow(ctx, 0) {
					last = err
					begun <- true
				}
				ended <- last
			}()
			return begun, ended
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun, ended := run(ctx)
		<-begun
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("with its context it ended with %v", err)
		}
		begun, ended = run(t.Context())
		<-begun
		if err := engine.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, storage.ErrClosed) {
			t.Errorf("with the store it ended with %v, want ErrClosed", err)
		}
	}
}

// TestReadIsCut reads in bounded batches to the end, and reports damage.
func TestReadIsCut(t *testing.T) {
	db := openDB(t)
	fill(t, db, 2500)
	for from, want := range map[int64]string{0: "[1000 1000 500]", 500: "[1000 1000]", 2499: "[1]", 2500: "[]", 9999: "[]"} {
		var got []int
		next := from
		for some, err := range (audit.Log{DB: db}).Read(t.Context(), from) {
			if err != nil || some[0].Seq != next {
				t.Fatalf("from %d: event %d, %v; want %d", from, some[0].Seq, err, next)
			}
			got, next = append(got, len(some)), next+int64(len(some))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("from %d: batches of %v, want %s", from, got, want)
		}
	}
	update(t, db, func(tx storage.Tx) error { return tx.Delete("audit", "\x00\x00\x00\x00\x00\x00\x04\x00") })
	for _, read := range []func(context.Context, storage.DB, int64) error{
		func(ctx context.Context, db storage.DB, from int64) (last error) {
			for _, err := range (audit.Log{DB: db}).Read(ctx, from) {
				last = err
			}
			return last
		},
		func(ctx context.Context, db storage.DB, from int64) (last error) {
			for _, err := range (audit.Log{DB: db}).Follow(ctx, from) {
				last = err
			}
			return last
		},
	} {
		var damage *audit.TamperError
		if err := read(t.Context(), db, 0); !errors.As(err, &damage) {
			t.Errorf("over a removed event: %v, want a TamperError", err)
		}
	}
}
