package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
)

// An Access says who may open a file.
type Access struct {
	Mode     fs.FileMode // permission bits; 0 leaves them as they are
	UID, GID int         // -1 leaves them as they are
}

// Private is the access of the other functions' files: mode 0600, and the owner of the
// process or of the directory.
var Private = Access{Mode: 0o600, UID: -1, GID: -1}

// Public is Private for what everybody may read.
var Public = Access{Mode: 0o644, UID: -1, GID: -1}

// Keep makes path hold text, and gives it the mode, the owner and the group of the file at
// like, which may be path itself. If no file is there, a link or something else
// counts as none, and the file gets the access fresh.
//
// A process that may not give its files to that owner or group keeps what it can, but never
// opens the file to more users: without the group, the bits of the group go, too.
func Keep(path, like string, text []byte, fresh Access) error {
	was, err := os.Lstat(like)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return write(path, bytes.NewReader(text), func(f *File) error {
		if err != nil || !was.Mode().IsRegular() {
			return fresh.set(f.File)
		}
		return resemble(f.File, was)
	})
}

// SetAccess changes who may open the file at path. It does not follow a link.
func SetAccess(path string, a Access) error {
	f, err := os.OpenFile(path, os.O_RDONLY|notFollowing, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return a.set(f)
}

// set changes the owner first: the new mode is for the new owner.
func (a Access) set(f *os.File) error {
	if a.UID >= 0 || a.GID >= 0 {
		if err := f.Chown(a.UID, a.GID); err != nil {
			return err
		}
	}
	if a.Mode == 0 {
		return nil
	}
	return f.Chmod(a.Mode & fs.ModePerm)
}

// resemble gives f, which this process has made, the access of another file as far as the
// process may.
func resemble(f *os.File, was fs.FileInfo) error {
	mode := was.Mode() & fs.ModePerm
	if uid, gid, ok := Owner(was); ok && f.Chown(uid, gid) != nil && f.Chown(-1, gid) != nil {
		mode &^= 0o070
	}
	return f.Chmod(mode)
}
