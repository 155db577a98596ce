package file

import (
	"context"
	"crypto"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// phrase is the passphrase of every sealed file here. No output may hold it.
const phrase = "correct horse battery staple"

func passphrase(t testing.TB, text string) Passphrase {
	t.Helper()
	p, err := NewPassphrase([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func openDB(t *testing.T) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func update(t *testing.T, db storage.DB, fn func(storage.Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// freshKey returns a key and its record, without a file.
func freshKey(t testing.TB, p keys.Purpose, a keys.Algorithm) (keys.Key, crypto.Signer) {
	t.Helper()
	k, signer, err := keys.Trial(p, a, now)
	if err != nil {
		t.Fatal(err)
	}
	return k, signer
}
