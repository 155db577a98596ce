// Package durable writes files that are complete after a crash, or absent. It first
// writes a file under a temporary name, .NAME.NUMBER, beside its place, and moves it
// there once the disk has all of it. A crash before that leaves the old file and
// perhaps the new one under its temporary name. Nothing reads that; [Sweep] removes it.
//
// Files have mode 0600, except for those of [WritePublic] and [Keep]. A file that root makes
// in somebody's directory belongs to the owner of that directory. The package trusts the disk
// to keep what fsync reported as kept.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// WriteFile makes path hold text, in place of what it held before.
func WriteFile(path string, text []byte) error { return write(path, bytes.NewReader(text)) }

// WritePublic is WriteFile for what everybody may read.
func WritePublic(path string, text []byte) error {
	return write(path, bytes.NewReader(text), func(f *File) error { return f.Chmod(0o644) })
}

// CopyFile makes path hold what the file from holds.
func CopyFile(path, from string) error {
	in, err := Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return write(path, in)
}

func write(path string, from io.Reader, prepare ...func(*File) error) error {
	f, err := Begin(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	for _, prepare := range prepare {
		if err := prepare(f); err != nil {
			return err
		}
	}
	return f.Replace()
}

// A File is one that has not taken its place yet. Its writer ends it by Replace
// or Create, and by Discard in any case.
type File struct {
	*os.File
	path   string
	placed bool
	link   func(from, to string) error
}

// Begin begins the file that is to be at path.
func Begin(path string) (*File, error) {
	// CreateTemp opens with O_EXCL, so two writers never share a file, and it does
	// not follow a link that somebody planted there.
	f, err := given(path)(os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"))
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: path, link: os.Link}, nil
}

// Replace puts f in its place, whatever was there.
func (f *File) Replace() error {
	if err := f.finish(); err != nil {
		return err
	}
	return f.rename()
}

// Create puts f in its place unless something is there: then its error is
// [fs.ErrExist]. It fails on a file system without hard links.
func (f *File) Create() error {
	if err := f.finish(); err != nil {
		return err
	}
	// Unlike a rename, a link never replaces a file that came meanwhile.
	err := f.link(f.Name(), f.path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return err
	case err != nil:
		return fmt.Errorf("the file system must have hard links: %w", err)
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
	dir, base := filepath.Split(path)
	return SweepDir(filepath.Clean(dir), func(name string) bool { return name == base })
}

// SweepDir removes what crashes have left in dir of the files whose names are mine. No
// other writer of those files may be at work.
func SweepDir(dir string, mine func(name string) bool) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range all {
		if name, ok := placeOf(entry.Name()); !ok || !mine(name) || !entry.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// placeOf returns the NAME of a temporary file .NAME.NUMBER.
func placeOf(temporary string) (name string, ok bool) {
	stem, dot := strings.CutPrefix(temporary, ".")
	i := strings.LastIndexByte(stem, '.')
	if !dot || i <= 0 || i == len(stem)-1 || strings.Trim(stem[i+1:], "0123456789") != "" {
		return "", false
	}
	return stem[:i], true
}
