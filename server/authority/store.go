package authority

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/durable"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// This file alone says which engine keeps the store.

// errDamaged says that a store cannot be read.
var errDamaged = bolt.ErrDamaged

// OpenStore opens the store of the authority in dir and removes what crashes have left in
// dir. It never makes a store: an empty one would forget every revocation.
func OpenStore(dir string) (storage.DB, error) {
	path := filepath.Join(dir, config.Store)
	db, err := bolt.Open(path, bolt.Options{MustExist: true}) // holds the lock
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the store %s is missing: put the file back, or restore a backup with brevet restore FILE: %w", path, err)
	}
	if err != nil {
		return nil, err
	}
	return swept(dir, db)
}

// makeStore makes the store of a new authority in dir.
func makeStore(dir string) (storage.DB, error) {
	db, err := bolt.Open(filepath.Join(dir, config.Store), bolt.Options{}) // holds the lock
	if err != nil {
		return nil, err
	}
	return swept(dir, db)
}

// swept returns db, whose lock is held, after sweep.
func swept(dir string, db storage.DB) (storage.DB, error) {
	if err := sweep(dir); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// sweep removes what crashes have left in dir of the files that only the holder of the
// store's lock writes. Others may be writing files of other names there, such as backups.
func sweep(dir string) error {
	err := errors.Join(
		durable.Sweep(filepath.Join(dir, config.Name)),
		durable.Sweep(filepath.Join(dir, restoring)),
		keyfile.NewStore(dir, keyfile.NoPassphrase).Sweep(),
		os.RemoveAll(filepath.Join(dir, sealing)),
	)
	if err != nil {
		return fmt.Errorf("removing what a crash left: %w", err)
	}
	return nil
}

// restoring is the name of a store that Restore prepares.
const restoring = config.Store + ".restoring"

func openStore(path string) (storage.DB, error) {
	db, err := bolt.Open(path, bolt.Options{MustExist: true})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// verifyPages checks that a file is a sound copy of a store.
func verifyPages(file string) error { return bolt.Verify(file) }
