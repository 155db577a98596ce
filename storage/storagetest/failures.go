package storagetest

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

// spoil writes what must not remain.
func spoil(tx storage.Tx) error {
	return errors.Join(
		tx.Put("t", "a", []byte("changed")), tx.Put("t", "a", []byte("again")),
		tx.Delete("t", "b"), tx.Put("t", "b", []byte("back")), tx.Delete("t", "b"),
		tx.Put("t", "c", []byte("new")), tx.Delete("t", "c"), tx.Put("t", "d", []byte("new")),
		tx.Put("new", "k", nil), tx.Drop("u"))
}

// unspoilt returns a store, and a check that it is as it was at first.
func (s suite) unspoilt(t *testing.T) (storage.DB, func()) {
	db := s.openNew(t)
	update(t, db, func(tx storage.Tx) error {
		return errors.Join(tx.Put("t", "a", []byte("1")), tx.Put("t", "b", nil), tx.Put("u", "k", []byte("v")))
	})
	return db, func() {
		t.Helper()
		wantTable(t, db, "t", "a=1", "b=")
		wantTable(t, db, "u", "k=v")
		wantTable(t, db, "new")
	}
}

func (s suite) failure(t *testing.T) {
	db, check := s.unspoilt(t)
	for range 3 {
		err := db.Update(context.Background(), func(tx storage.Tx) error {
			if err := spoil(tx); err != nil {
				return err
			}
			return errFail
		})
		if !errors.Is(err, errFail) {
			t.Errorf("Update: %v, want the closure's error", err)
		}
		check()
	}
	update(t, db, spoil) // the same without failing
	wantTable(t, db, "t", "a=again", "d=new")
	wantTable(t, db, "new", "k=")
	wantTable(t, db, "u")
}

func (s suite) panics(t *testing.T) {
	db, check := s.unspoilt(t)
	for _, run := range []func(context.Context, func(storage.Tx) error) error{db.Update, db.View} {
		func() {
			defer func() {
				if r := recover(); r != any(errFail) {
					t.Errorf("recovered %v, want what the closure panicked with", r)
				}
			}()
			_ = run(context.Background(), func(tx storage.Tx) error {
				_ = spoil(tx)
				panic(errFail)
			})
			t.Error("the panic did not reach the caller")
		}()
		check()
	}
	put(t, db, "t", "a", "after")
}

// goexit ends a closure as t.FailNow does.
func (s suite) goexit(t *testing.T) {
	db, check := s.unspoilt(t)
	for _, run := range []func(context.Context, func(storage.Tx) error) error{db.Update, db.View} {
		ended := make(chan bool)
		go func() {
			returned := false
			defer func() { ended <- !returned }()
			_ = run(context.Background(), func(tx storage.Tx) error {
				_ = spoil(tx)
				runtime.Goexit()
				return nil
			})
			returned = true
		}()
		if !<-ended {
			t.Error("the goroutine did not end with its closure")
		}
		check()
	}
	put(t, db, "t", "a", "after")
}

func (s suite) context(t *testing.T) {
	db := s.openNew(t)
	put(t, db, "t", "k", "v")
	done, cancel := context.WithCancel(context.Background())
	cancel()
	never := func(storage.Tx) error { t.Error("the closure ran"); return nil }
	for name, err := range map[string]error{
		"Update": db.Update(done, never), "View": db.View(done, never), "Backup": db.Backup(done, io.Discard),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that is done: %v", name, err)
		}
	}

	// Once a closure runs, its outcome counts.
	running, cancel := context.WithCancel(context.Background())
	err := db.Update(running, func(tx storage.Tx) error {
		cancel()
		return tx.Put("t", "k", []byte("kept"))
	})
	if err != nil {
		t.Errorf("Update whose context ended while the closure ran: %v", err)
	}
	wantTable(t, db, "t", "k=kept")

	// One that waits for its turn may give up; then it has not run.
	waiting, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	meanwhile := sync.OnceFunc(func() { // a closure may run twice
		go func() {
			result <- db.Update(waiting, func(tx storage.Tx) error { return tx.Put("t", "late", nil) })
		}()
		await()
		cancel()
		await()
	})
	update(t, db, func(storage.Tx) error { meanwhile(); return nil })
	if err := <-result; err == nil {
		wantTable(t, db, "t", "k=kept", "late=")
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("Update whose context ended while it waited: %v", err)
	} else {
		wantTable(t, db, "t", "k=kept")
	}
}

func (s suite) close(t *testing.T) {
	db := s.openNew(t)
	put(t, db, "t", "k", "v")
	view := func(tx storage.Tx) error { _, err := tx.Get("t", "k"); return err }
	running, release, results, closed := make(chan bool), make(chan bool), make(chan error), make(chan error, 1)
	begun := sync.OnceFunc(func() { close(running) }) // a closure may run twice
	go func() {
		results <- db.Update(context.Background(), func(tx storage.Tx) error {
			begun()
			<-release
			return tx.Put("t", "k", []byte("new"))
		})
	}()
	<-running
	const waiting = 20
	for range waiting {
		go func() { results <- db.Update(context.Background(), view) }()
	}
	go func() {
		results <- db.View(context.Background(), func(tx storage.Tx) error { <-release; return view(tx) })
	}()
	await()
	go func() { closed <- db.Close() }()
	await()
	select {
	case err := <-closed:
		t.Errorf("Close returned %v while transactions were under way", err)
	default:
	}
	close(release)
	for range waiting + 2 {
		if err := <-results; err != nil {
			t.Errorf("a transaction that began before Close: %v", err)
		}
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	ctx := context.Background()
	for name, err := range map[string]error{
		"Update": db.Update(ctx, view), "View": db.View(ctx, view),
		"Backup": db.Backup(ctx, io.Discard), "Close": db.Close(),
	} {
		if !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
}
