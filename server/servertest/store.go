package servertest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// ChangeStore alters the store of an authority that is stopped.
func ChangeStore(t *testing.T, dir string, fn func(storage.Tx) error) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(context.Background(), fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}
