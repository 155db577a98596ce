package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrExposed says that others on the machine have access to a file that holds a secret.
var ErrExposed = errors.New("others have access to this secret")

// The modes that a file with a secret may have. In the second one the group may read: systemd
// lets the user of a service read a credential by an access control list, which the mode shows
// there, and Kubernetes gives a secret to a group.
const (
	OwnerOnly  fs.FileMode = 0o600
	GroupReads fs.FileMode = 0o640
	GroupToo   fs.FileMode = 0o660 // the group may replace it, too
)

// CheckSecret returns [ErrExposed] if the mode of an open file gives the group or others more
// than most does. A pipe, and a file that the program was given open, were opened by somebody
// who could.
func CheckSecret(f *os.File, most fs.FileMode) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&0o077&^most != 0 && !wasOpen(f.Name()) {
		return &exposed{f.Name(), mode}
	}
	return nil
}

// wasOpen reports whether a name is that of a descriptor, such as /dev/stdin.
func wasOpen(path string) bool {
	path = filepath.Clean(path)
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

type exposed struct {
	path string
	mode fs.FileMode
}

func (e *exposed) Error() string {
	return fmt.Sprintf("%s has mode %04o, which lets others at a secret: run chmod 600 %[1]s", e.path, e.mode)
}

func (e *exposed) Unwrap() error { return ErrExposed }

// ReadSecret is [ReadFile] for a file with a secret: see [CheckSecret].
func ReadSecret(path string, limit int, most fs.FileMode) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := CheckSecret(f, most); err != nil {
		return nil, err
	}
	return readUpTo(f, limit)
}
