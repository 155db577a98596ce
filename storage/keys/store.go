package keys

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/storage/durable"
)

// A Store is a directory of key files and the passphrase that seals them. Its
// methods may be called concurrently. They work on files, so they are called
// outside of transactions.
type Store struct {
	dir        string
	passphrase Passphrase
}

// NewStore returns the store of the key files in dir, which must exist.
func NewStore(dir string, p Passphrase) *Store { return &Store{dir, p} }

// Generate makes a key and its file, which is durable when Generate returns.
// The key is none of the authority's until [Record] added it.
func (s *Store) Generate(p Purpose, a Algorithm, now time.Time) (Key, crypto.Signer, error) {
	if err := s.ready(); err != nil {
		return Key{}, nil, err
	}
	k, signer, err := Trial(p, a, now)
	if err != nil {
		return Key{}, nil, err
	}
	text, err := encode(signer, s.passphrase)
	if err != nil {
		return Key{}, nil, err
	}
	if err := durable.WriteFile(s.path(k), text); err != nil {
		return Key{}, nil, fmt.Errorf("writing the %s key: %w", p, err)
	}
	return k, signer, nil
}

// Trial makes a key that has no file and is forgotten with the process, to try
// out what it signs.
func Trial(p Purpose, a Algorithm, now time.Time) (Key, crypto.Signer, error) {
	if _, err := ParsePurpose(string(p)); err != nil {
		return Key{}, nil, err
	}
	if a.Alternative() != "" && (p == Tokens || p == Audit) {
		return Key{}, nil, fmt.Errorf("%w algorithm %s: X.509 has alternative signatures, %s has none", ErrInvalid, a, p)
	}
	signer, err := a.generate()
	if err != nil {
		return Key{}, nil, err
	}
	public, err := marshalPublic(signer.Public())
	if err != nil {
		return Key{}, nil, err
	}
	k, err := newKey(p, a, public, marshalAlternative(signer), now)
	return k, signer, err
}

// Signer loads and unseals the key whose record is k.
func (s *Store) Signer(k Key) (crypto.Signer, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	path := s.path(k)
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the %s key has no file: restore it from a backup: %w", k.Purpose, err)
	}
	if err != nil {
		return nil, err
	}
	signer, err := decode(text, len(k.Alternative) > 0, s.passphrase)
	if errors.Is(err, ErrPassphrase) {
		return nil, fmt.Errorf("cannot unseal %s: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s %w", path, err)
	}
	public, err := marshalPublic(signer.Public())
	if err != nil || !bytes.Equal(public, k.Public) || !bytes.Equal(marshalAlternative(signer), k.Alternative) {
		return nil, fmt.Errorf("key file %s holds another key than %s: restore it from a backup", path, k.ID)
	}
	return signer, nil
}

// Has reports whether the file of the key whose record is k is there. What is in
// it is [Store.Signer]'s to find out.
func (s *Store) Has(k Key) (bool, error) {
	if err := k.check(); err != nil {
		return false, err
	}
	_, err := os.Stat(s.path(k))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Signers is [Store.Signer] for several keys, which it unseals in parallel:
// each takes the time of 600,000 iterations.
func (s *Store) Signers(ks ...Key) ([]crypto.Signer, error) {
	signers, errs := make([]crypto.Signer, len(ks)), make([]error, len(ks))
	var wg sync.WaitGroup
	for i, k := range ks {
		wg.Go(func() { signers[i], errs[i] = s.Signer(k) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err // the first; the others are often the same wrong passphrase
		}
	}
	return signers, nil
}

// Destroy removes the file of a retired key; that there is none is no error.
// [Remove] comes after it. What the disk or a backup still holds is out of its
// reach.
func (s *Store) Destroy(k Key) error {
	if err := errors.Join(k.check(), k.removable()); err != nil {
		return err
	}
	if err := os.Remove(s.path(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("destroying the %s key: %w", k.Purpose, err)
	}
	return durable.SyncDir(s.dir)
}

func (s *Store) ready() error {
	if s.passphrase.none() {
		return fmt.Errorf("the keys in %s need a passphrase: %w", s.dir, errNoPassphrase)
	}
	return nil
}

// path is where the file of k lies. 64 bits of the hash of a fresh key tell it
// from every other, so that a new file takes no other's place.
func (s *Store) path(k Key) string {
	return filepath.Join(s.dir, string(k.Purpose)+"-"+k.ID[:16]+".key")
}
