package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// errNotRegular says that a name leads to a pipe, a device, a socket or a directory.
var errNotRegular = errors.New("not a regular file")

// Open opens a regular file for reading. It refuses anything else, such as a pipe, which
// would block, and follows links.
func Open(path string) (*os.File, error) { return OpenFile(path, os.O_RDONLY, 0) }

// OpenFile is [os.OpenFile] for regular files only.
func OpenFile(path string, flag int, mode fs.FileMode) (*os.File, error) {
	refused := &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	// To open a device may already do something.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, refused
	}
	f, err := os.OpenFile(path, flag|notBlocking, mode)
	if err != nil {
		return nil, err
	}
	// Something else may have taken the name since.
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, refused, f.Close())
	}
	return f, nil
}

// ReadFile reads a regular file of at most limit octets.
func ReadFile(path string, limit int) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readUpTo(f, limit)
}

func readUpTo(f *os.File, limit int) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(text) > limit {
		err = fmt.Errorf("%s has more than %d octets", f.Name(), limit)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}
