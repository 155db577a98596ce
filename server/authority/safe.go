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
	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// rootLists is how many CRLs a root signs at init that is kept elsewhere, if no other number
// is given: those of half a year.
const rootLists = 6

// rootKeys returns where the keys of the roots go, which is nil if they go to the others, and
// a function that removes again what came there.
func (c InitConfig) rootKeys(others keyfile.Passphrase) (store keys.Source, undo func() error, err error) {
	nothing := func() error { return nil }
	if c.RootDir == "" {
		return nil, nothing, nil
	}
	if n := cmp.Or(c.RootLists, rootLists); n < 1 || n > crl.MaxSeries {
		return nil, nothing, fmt.Errorf("%w number of CRLs: %d, want 1 to %d", agents.ErrInvalid, n, crl.MaxSeries)
	}
	passphrase := others
	if c.RootPassphraseFile != "" {
		if passphrase, err = keyfile.ReadPassphrase(c.RootPassphraseFile); err != nil {
			return nil, nothing, err
		}
		if err = passphrase.CheckNew(); err != nil {
			return nil, nothing, fmt.Errorf("--root-passphrase-file: %w", err)
		}
	}
	if err := durable.MakeDir(c.RootDir); err != nil {
		return nil, nothing, err
	}
	there, err := os.Stat(c.RootDir)
	if err != nil {
		return nil, nothing, err
	}
	if here, err := os.Stat(c.Dir); err == nil && os.SameFile(here, there) {
		return nil, nothing, fmt.Errorf("the key of the root must go to another directory than %s, which the server has", c.Dir)
	}
	before, err := filepath.Glob(filepath.Join(c.RootDir, "*.key"))
	return keyfile.NewStore(c.RootDir, passphrase), func() error { return removeNew(c.RootDir, before) }, err
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
