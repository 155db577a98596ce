package authority

import (
	"path/filepath"

	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// This file alone says which engine keeps the store.

// errDamaged says that a store cannot be read.
var errDamaged = bolt.ErrDamaged

// OpenStore opens the store of the authority in dir, or makes it.
func OpenStore(dir string) (storage.DB, error) { return openStore(filepath.Join(dir, config.Store)) }

func openStore(path string) (storage.DB, error) {
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// VerifyBackup checks that a file is a sound copy of a store.
func VerifyBackup(file string) error { return bolt.Verify(file) }
