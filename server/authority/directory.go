package authority

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage/durable"
)

// CheckDir refuses to serve a directory that is somebody else's or that others may write
// to, and files in it that others may write to: they could replace the store, the
// configuration and the socket.
func CheckDir(dir string) error { return checkDir(dir, os.Geteuid()) }

// checkDir is CheckDir for a process of the user uid.
func checkDir(dir string, uid int) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner, _, ok := durable.Owner(info); ok && owner != uid {
		return fmt.Errorf("%s belongs to the user with id %d and this process runs as %d: run brevet as that user, or run chown -R %[3]d %[1]s", dir, owner, uid)
	}
	return closed(dir)
}

// closed refuses a directory in which others may change something.
func closed(dir string) error {
	for _, name := range []string{"", config.Name, config.Store} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) && name != "" {
			continue
		}
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o022 != 0 {
			return fmt.Errorf("%s has mode %04o, so others may write to it: run chmod go-w %[1]s", path, mode)
		}
	}
	return nil
}

// checkOwner is CheckDir for a verb that root may run in the directory of the server's
// user, who gets what root makes there.
func checkOwner(dir string) error {
	if os.Geteuid() == 0 {
		return closed(dir)
	}
	return CheckDir(dir)
}
