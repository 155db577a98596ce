package storagetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

// A Staller is a [Place] that can delay what makes a commit durable.
type Staller interface {
	// Stall makes the next commit of db wait when it has written everything, before
	// that is known to be durable. It then sends to waiting. The commit goes on when
	// release is called.
	Stall(db storage.DB) (waiting <-chan struct{}, release func())
}

// durable looks at a store during a commit that is not durable yet.
func (s suite) durable(t *testing.T) {
	place := s.place(t)
	staller, can := place.(Staller)
	if !can {
		t.Skip("this engine cannot delay a commit")
	}
	db := open(t, place)
	update(t, db, func(tx storage.Tx) error {
		return errors.Join(tx.Put("t", "k", []byte("before")), tx.Put("t", "l", nil), tx.Put("u", "k", nil))
	})
	changed := storage.Changed(db)
	_, tells := db.(storage.Notifier)
	waiting, release := staller.Stall(db)
	ctx := context.Background()
	updates := make(chan error, 2)
	go func() {
		updates <- db.Update(ctx, func(tx storage.Tx) error {
			return errors.Join(tx.Put("t", "k", []byte("after")), tx.Delete("t", "l"), tx.Drop("u"), tx.Put("v", "k", nil))
		})
	}()
	<-waiting
	before := content{"t": {"k": "before", "l": ""}, "u": {"k": ""}}
	tables := []string{"t", "u", "v"}
	for range 2 {
		view(t, db, func(tx storage.Tx) error { return difference(tx, tables, before) })
	}
	var copied bytes.Buffer
	backup := s.place(t)
	if err := errors.Join(db.Backup(ctx, &copied), backup.Restore(copied.Bytes())); err != nil {
		t.Fatal(err)
	}
	view(t, open(t, backup), func(tx storage.Tx) error { return difference(tx, tables, before) })
	// A writer that reads what is not durable tells nobody before it is.
	go func() {
		updates <- db.Update(ctx, func(tx storage.Tx) error { _, err := tx.Get("v", "k"); return err })
	}()
	await()
	select {
	case err := <-updates:
		t.Errorf("an Update returned %v during the commit", err)
	case <-changed:
		if tells {
			t.Error("told of a change that is not durable")
		}
	default:
	}
	view(t, db, func(tx storage.Tx) error {
		release()
		for range 2 {
			if err := <-updates; err != nil {
				t.Error(err)
			}
		}
		wantTable(t, db, "t", "k=after")
		return difference(tx, tables, before) // this View began earlier
	})
	view(t, db, func(tx storage.Tx) error { return difference(tx, tables, content{"t": {"k": "after"}, "v": {"k": ""}}) })
}
