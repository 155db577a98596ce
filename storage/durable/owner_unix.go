//go:build unix

package durable

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// give gives f, which this process has just made in dir, to the owner of dir if root made
// it in somebody else's directory. Otherwise a program that runs as that user could not
// open it.
func give(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	above, err := os.Stat(dir)
	if err != nil {
		return err
	}
	uid, gid, ok := Owner(above)
	if !ok || uid == 0 {
		return nil
	}
	made, err := f.Stat()
	if err != nil {
		return err
	}
	if has, _, ok := Owner(made); !ok || has == uid {
		return nil
	}
	if err := f.Chown(uid, gid); err != nil {
		return fmt.Errorf("giving %s to the owner of its directory: %w", f.Name(), err)
	}
	return nil
}

// Owner returns who owns a file, if the system can tell.
func Owner(of fs.FileInfo) (uid, gid int, ok bool) {
	stat, ok := of.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

// onlyDirectory opens nothing but a directory: no link that somebody put there, and no
// pipe that blocks.
const onlyDirectory = syscall.O_NOFOLLOW | syscall.O_DIRECTORY

// notFollowing opens no link, and does not wait for a pipe.
const notFollowing = syscall.O_NOFOLLOW | notBlocking

// notBlocking does not wait for a pipe.
const notBlocking = syscall.O_NONBLOCK
