package authority

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// rootLists is how many CRLs a root signs at init that is kept elsewhere, if no other number
// is given: those of half a year.
const rootLists = 6

// rootKeys returns where the keys of the roots go, which is nil if they go to the others. It
// makes the directory, and notes how to remove what comes there.
func (c InitConfig) rootKeys(others keyfile.Passphrase, undo *undoing) (keys.Source, error) {
	if c.RootDir == "" {
		return nil, nil
	}
	if n := cmp.Or(c.RootLists, rootLists); n < 1 || n > crl.MaxSeries {
		return nil, fmt.Errorf("%w number of CRLs: %d, want 1 to %d", agents.ErrInvalid, n, crl.MaxSeries)
	}
	passphrase, err := others, error(nil)
	if c.RootPassphraseFile != "" {
		if passphrase, err = keyfile.ReadPassphrase(c.RootPassphraseFile); err != nil {
			return nil, err
		}
		if err = passphrase.CheckNew(); err != nil {
			return nil, fmt.Errorf("--root-passphrase-file: %w", err)
		}
	}
	if err := undo.makeDir(c.RootDir); err != nil {
		return nil, err
	}
	there, err := os.Stat(c.RootDir)
	if err != nil {
		return nil, err
	}
	if here, err := os.Stat(c.Dir); err == nil && os.SameFile(here, there) {
		return nil, fmt.Errorf("the key of the root must go to another directory than %s, which the server has", c.Dir)
	}
	before, err := filepath.Glob(filepath.Join(c.RootDir, "*.key"))
	undo.later(func() error { return removeNew(c.RootDir, before) })
	return keyfile.NewStore(c.RootDir, passphrase), err
}

// removeNew removes the key files of a directory that were not there before.
func removeNew(dir string, before []string) error {
	after, err := filepath.Glob(filepath.Join(dir, "*.key"))
	for _, path := range after {
		if !slices.Contains(before, path) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}
