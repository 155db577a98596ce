package file

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Readable fails unless each key file can be read with the passphrase of the store.
func (s *Store) Readable() error {
	_, err := s.each(func(path string) ([]byte, error) {
		_, err := Read(path, s.passphrase)
		return nil, err
	})
	return err
}

// Resealed returns what the key files of the store would hold if they were sealed with
// another passphrase, by their names. It changes nothing. It fails unless it can read each
// file with the passphrase of the store, and each result with the other one.
func (s *Store) Resealed(to Passphrase) (map[string][]byte, error) {
	if err := to.CheckNew(); err != nil {
		return nil, err
	}
	return s.each(func(path string) ([]byte, error) { return reseal(path, s.passphrase, to) })
}

// each calls do for each key file, and returns what do returned, by the files' names.
func (s *Store) each(do func(path string) ([]byte, error)) (map[string][]byte, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	all, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, entry := range all {
		if name := entry.Name(); isKeyFile(name) {
			if files[name], err = do(filepath.Join(s.dir, name)); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// Reseal returns what a key file anywhere would hold if it were sealed with another passphrase. It
// changes nothing.
func Reseal(path string, from, to Passphrase) ([]byte, error) {
	if err := to.CheckNew(); err != nil {
		return nil, err
	}
	return reseal(path, from, to)
}

// IsSealed reports whether the key in a file is sealed.
func IsSealed(path string) (bool, error) {
	text, err := readFile(path)
	if err != nil {
		return false, err
	}
	return bytes.Contains(text, []byte("-----BEGIN "+sealedType)), nil
}

// reseal reads a key file and seals the key with another passphrase.
func reseal(path string, from, to Passphrase) ([]byte, error) {
	key, err := Read(path, from)
	if err != nil {
		return nil, err
	}
	text, err := encode(key, to)
	if err != nil {
		return nil, err
	}
	again, err := parse(text, to)
	if err != nil {
		return nil, fmt.Errorf("reading what is to replace %s: %w", path, err)
	}
	if !same(key, again) {
		return nil, fmt.Errorf("what is to replace %s holds another key", path)
	}
	return text, nil
}

// same reports whether two private keys are one: with the same private halves they have
// the same text.
func same(a, b crypto.Signer) bool {
	one, err := encode(a, NoPassphrase)
	two, other := encode(b, NoPassphrase)
	return errors.Join(err, other) == nil && bytes.Equal(one, two)
}
