package authority

import (
	"errors"
	"fmt"
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

// OpenStore opens the store of the authority in dir, or makes it, and removes what
// crashes have left in dir.
func OpenStore(dir string) (storage.DB, error) {
	db, err := openStore(filepath.Join(dir, config.Store)) // holds the lock
	if err != nil {
		return nil, err
	}
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
	)
	if err != nil {
		return fmt.Errorf("removing what a crash left: %w", err)
	}
	return nil
}

// restoring is the name of a store that Restore prepares.
const restoring = config.Store + ".restoring"

func openStore(path string) (storage.DB, error) {
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// VerifyBackup checks that a file is a sound copy of a store.
func VerifyBackup(file string) error { return bolt.Verify(file) }
