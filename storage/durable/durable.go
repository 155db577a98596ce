// Package durable writes files that are complete after a crash, or absent. It first
// writes a file under a temporary name, .NAME.NUMBER, beside its place, and moves it
// there once the disk has all of it. A crash before that leaves the old file and
// perhaps the new one under its temporary name. Nothing reads that; [Sweep] removes it.
//
// Files have mode 0600. The package trusts the disk to keep what fsync reported
// as kept.
package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// WriteFile makes path hold text, in place of what it held before.
func WriteFile(path string, text []byte) error { return write(path, bytes.NewReader(text)) }

// CopyFile makes path hold what the file from holds.
func CopyFile(path, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return write(path, in)
}

func write(path string, from io.Reader) error {
	f, err := Begin(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	return f.Replace()
}

// A File is one that has not taken its place yet. Its writer ends it by Replace
// or Create, and by Discard in any case.
type File struct {
	*os.File
	path   string
	placed bool
}

// Begin begins the file that is to be at path.
func Begin(path string) (*File, error) {
	// CreateTemp opens with O_EXCL, so two writers never share a file, and it does
	// not follow a link that somebody planted there.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: path}, nil
}

// Replace puts f in its place, whatever was there.
func (f *File) Replace() error {
	if err := f.finish(); err != nil {
		return err
	}
	return f.rename()
}

// Create puts f in its place unless something is there: then its error is
// [fs.ErrExist].
func (f *File) Create() error {
	if err := f.finish(); err != nil {
		return err
	}
	// Unlike a rename, a link never replaces a file that came meanwhile.
	err := os.Link(f.Name(), f.path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return err
	case err != nil: // a file system without links
		return f.rename()
	}
	return SyncDir(filepath.Dir(f.path)) // Discard removes the other name
}

func (f *File) finish() error { return errors.Join(f.Sync(), f.Close()) }

func (f *File) rename() error {
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.placed = true
	return SyncDir(filepath.Dir(f.path))
}

// Discard removes the temporary name of f, if it still has one. A file that was not
// moved to its place is gone then.
func (f *File) Discard() {
	if !f.placed {
		f.Close() // again, maybe
		os.Remove(f.Name())
	}
}

// Rename moves a file within its directory.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// Sweep removes what crashes have left beside path. No other writer of path may
// be at work.
func Sweep(path string) error {
	dir, name := filepath.Split(path)
	all, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return err
	}
	for _, entry := range all {
		number, ok := strings.CutPrefix(entry.Name(), "."+name+".")
		if !ok || strings.Trim(number, "0123456789") != "" {
			continue
		}
		if err := os.Remove(dir + entry.Name()); err != nil {
			return err
		}
	}
	return nil
}
