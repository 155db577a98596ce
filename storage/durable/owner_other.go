//go:build !unix

package durable

import (
	"io/fs"
	"os"
)

func give(*os.File, string) error { return nil }

// Owner returns who owns a file, if the system can tell. Here it cannot.
func Owner(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }

const (
	onlyDirectory = 0
	notFollowing  = 0
	notBlocking   = 0
)
