package file

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"

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
	f, err := durable.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("key file %s has mode %04o, which lets others at it: run chmod 600 %[1]s", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("key file %s is larger than %d bytes, more than any key needs", path, maxFile)
	}
	return text, nil
}
