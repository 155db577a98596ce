package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/storage/durable"
)

// A Passphrase seals and unseals key files. It prints as
// "[hidden]". The zero value means that there is no passphrase yet: key files are
// neither written nor read with it.
type Passphrase struct {
	secret.Hidden
	text  secret.Secret
	plain bool
}

// Ask asks somebody, or some other program, for a passphrase.
type Ask func() (Passphrase, error)

// NoPassphrase says that the operator wants key files unsealed.
var NoPassphrase = Passphrase{plain: true}

// none reports whether p is the zero Passphrase.
func (p Passphrase) none() bool { return p.text.Reveal() == "" && !p.plain }

// Equal reports whether two passphrases have the same text. It is for what somebody typed
// twice, and takes a time that depends on the text.
func (p Passphrase) Equal(o Passphrase) bool {
	return p.text.Reveal() == o.text.Reveal() && p.plain == o.plain
}

// maxPassphrase is how much openssl reads of a -passin file. It would use only the
// beginning of a longer text, and could not open the keys.
const maxPassphrase = 1023

// NewPassphrase returns text as a passphrase: one line of at most 1023 bytes.
func NewPassphrase(text []byte) (Passphrase, error) {
	switch {
	case len(text) == 0:
		return Passphrase{}, errors.New("the passphrase is empty")
	case len(text) > maxPassphrase:
		return Passphrase{}, fmt.Errorf("the passphrase is longer than %d bytes", maxPassphrase)
	case bytes.ContainsAny(text, "\x00\r\n"):
		return Passphrase{}, errors.New("the passphrase has a line break or a NUL byte inside; give one line of text")
	}
	return Passphrase{text: secret.New(string(text))}, nil
}

// ReadPassphrase reads a passphrase, and the line feed that may follow it, from
// source: a file, or, spelled "fd:3", a file descriptor that was open when the
// program started. Call it before anything else opens files: otherwise a descriptor
// that the operator forgot to open might be one of those.
//
// A file that others may read is refused: see [durable.CheckSecret].
func ReadPassphrase(source string) (Passphrase, error) {
	f, err := openSource(source)
	if err != nil {
		return Passphrase{}, fmt.Errorf("reading the passphrase: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassphrase+3))
	if err != nil {
		return Passphrase{}, fmt.Errorf("reading the passphrase: %w", err)
	}
	p, err := NewPassphrase(withoutLineEnd(text))
	if err != nil {
		return p, fmt.Errorf("reading %s: %w", source, err)
	}
	return p, nil
}

// withoutLineEnd drops the end of the line that editors write, those of Windows too.
func withoutLineEnd(text []byte) []byte {
	line, ended := bytes.CutSuffix(text, []byte("\n"))
	if !ended {
		return text
	}
	return bytes.TrimSuffix(line, []byte("\r"))
}

func openSource(source string) (*os.File, error) {
	if number, ok := strings.CutPrefix(source, "fd:"); ok {
		fd, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q: want fd: and the number of an open file descriptor, such as fd:3", source)
		}
		return os.NewFile(uintptr(fd), source), nil
	}
	f, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	if err := durable.CheckSecret(f, durable.GroupReads); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// FromCredentials reads the passphrase that systemd passes to a service as the
// credential brevet-passphrase (systemd.exec(5), LoadCredentialEncrypted=). If
// systemd passed none, the error is [fs.ErrNotExist].
func FromCredentials() (Passphrase, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return Passphrase{}, fmt.Errorf("CREDENTIALS_DIRECTORY is not set: %w", fs.ErrNotExist)
	}
	return ReadPassphrase(filepath.Join(dir, "brevet-passphrase"))
}
