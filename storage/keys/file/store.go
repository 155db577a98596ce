// Package file keeps the private halves of keys in files: one for each key, in
// one directory. A file holds PKCS #8 (RFC 5958) in PEM (RFC 7468), sealed with
// the operator's [Passphrase] by PBES2 (RFC 8018): PBKDF2 with HMAC-SHA-256, a
// 128-bit salt and 600,000 iterations, then AES-256 in CBC mode. openssl pkey
// reads the files of classical keys. A key with an alternative half has a block
// for each, the classical one first.
//
// PBES2 hides a key but does not authenticate it. The record does: see package
// keys.
package file

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/keys"
)

var _ keys.Source = (*Store)(nil)

// A Store is a directory of key files and the passphrase that seals them: a
// [keys.Source].
type Store struct {
	dir        string
	passphrase Passphrase
}

// NewStore returns the store of the key files in dir, which must exist.
func NewStore(dir string, p Passphrase) *Store { return &Store{dir, p} }

// Generate makes a key and its file, which is durable when Generate returns.
// The key belongs to the authority once [keys.Record] has added it.
func (s *Store) Generate(p keys.Purpose, a keys.Algorithm, now time.Time) (keys.Key, crypto.Signer, error) {
	if err := s.ready(); err != nil {
		return keys.Key{}, nil, err
	}
	k, signer, err := keys.Trial(p, a, now)
	if err != nil {
		return keys.Key{}, nil, err
	}
	text, err := encode(signer, s.passphrase)
	if err != nil {
		return keys.Key{}, nil, err
	}
	if err := durable.WriteFile(s.Path(k), text); err != nil {
		return keys.Key{}, nil, fmt.Errorf("writing the %s key: %w", p, err)
	}
	return k, signer, nil
}

// Signer loads and unseals the key whose record is k.
func (s *Store) Signer(k keys.Key) (crypto.Signer, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	path := s.Path(k)
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the %s key has no file: restore it from a backup: %w", k.Purpose, err)
	}
	if err != nil {
		return nil, err
	}
	signer, err := decode(text, len(k.Alternative) > 0, s.passphrase)
	if errors.Is(err, errPassphrase) {
		return nil, fmt.Errorf("cannot unseal %s: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s %w", path, err)
	}
	if !k.Fits(signer) {
		return nil, fmt.Errorf("key file %s holds another key than %s: restore it from a backup", path, k.ID)
	}
	return signer, nil
}

// Has reports whether the file of the key whose record is k is there. It does
// not read the file: [Store.Signer] does.
func (s *Store) Has(k keys.Key) (bool, error) {
	if err := k.Check(); err != nil {
		return false, err
	}
	_, err := os.Stat(s.Path(k))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Unsealed reports whether the file of the key whose record is k is not sealed, although
// the operator gave a passphrase. [Store.Signer] then refuses it.
func (s *Store) Unsealed(k keys.Key) (bool, error) {
	if err := k.Check(); err != nil || s.passphrase.plain || s.passphrase.none() {
		return false, err
	}
	text, err := readFile(s.Path(k))
	if err != nil {
		return false, err
	}
	return bytes.Contains(text, []byte("-----BEGIN "+plainType+"-----")), nil
}

// Destroy removes the file of a retired key, or of one that never came on record, if it is there. [keys.Remove] comes
// after it. Destroy cannot reach copies in backups or in free blocks of the disk.
func (s *Store) Destroy(k keys.Key) error {
	if err := errors.Join(k.Check(), k.Removable()); err != nil {
		return err
	}
	if err := os.Remove(s.Path(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("destroying the %s key: %w", k.Purpose, err)
	}
	return durable.SyncDir(s.dir)
}

// Sweep removes what crashes have left of key files that were being written. Nobody
// else may be using the store.
func (s *Store) Sweep() error { return durable.SweepDir(s.dir, isKeyFile) }

func (s *Store) ready() error {
	if s.passphrase.none() {
		return fmt.Errorf("the keys in %s need a passphrase: %w", s.dir, errNoPassphrase)
	}
	return nil
}

// Path returns the path of the file of k. It has 64 bits of the hash of the key, so
// that a new file never replaces another.
func (s *Store) Path(k keys.Key) string {
	return filepath.Join(s.dir, string(k.Purpose)+"-"+k.ID[:16]+".key")
}

// isKeyFile reports whether Path gives such names.
func isKeyFile(name string) bool {
	stem, ok := strings.CutSuffix(name, ".key")
	i := strings.LastIndexByte(stem, '-')
	return ok && i > 0 && len(stem[i+1:]) == 16 && strings.Trim(stem[i+1:], "0123456789abcdef") == ""
}
