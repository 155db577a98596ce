package file

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/storage/durable"
)

// maxFile is far above the largest key, a composite with ML-DSA-87.
const maxFile = 64 << 10

// Read reads a key from a file anywhere, of one or of two halves. The caller compares its
// public half with what is known of it.
func Read(path string, p Passphrase) (crypto.Signer, error) {
	if p.none() {
		return nil, errNoPassphrase
	}
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	signer, err := parse(text, p)
	if errors.Is(err, errPassphrase) {
		return nil, fmt.Errorf("cannot unseal %s: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s %w", path, err)
	}
	return signer, nil
}

// parse reads the text of a file with a key of one or of two halves.
func parse(text []byte, p Passphrase) (crypto.Signer, error) {
	return decode(text, bytes.Count(text, []byte("-----BEGIN ")) == 2, p)
}

// readFile reads a key file that nobody but its owner may touch.
func readFile(path string) ([]byte, error) {
	return durable.ReadSecret(path, maxFile, durable.OwnerOnly)
}
