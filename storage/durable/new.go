package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// New makes the file at path, with mode 0600. If anything is there, even a link that
// leads nowhere, its error is [fs.ErrExist]. If root makes it in somebody's directory, it
// belongs to that user.
func New(path string) (*os.File, error) {
	return given(path)(os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600))
}

// given gives a file that was just made at path to whom it belongs, or removes it.
func given(path string) func(*os.File, error) (*os.File, error) {
	return func(f *os.File, err error) (*os.File, error) {
		if err != nil {
			return nil, err
		}
		if err := give(f, filepath.Dir(path)); err != nil {
			f.Close()
			return nil, errors.Join(err, os.Remove(f.Name()))
		}
		return f, nil
	}
}

// MakeDir makes a directory, with mode 0700, and those above it that are missing. If root
// makes them in somebody's directory, they belong to that user. It is no error if the
// directory exists.
func MakeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(dir)
	if above == dir {
		return os.Mkdir(dir, 0o700)
	}
	if err := MakeDir(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		return os.MkdirAll(dir, 0o700) // which another process made just now, or no directory
	} else if err != nil {
		return err
	}
	made, err := os.OpenFile(dir, os.O_RDONLY|onlyDirectory, 0)
	if err != nil {
		return err
	}
	return errors.Join(give(made, above), made.Close())
}
