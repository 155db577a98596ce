//go:build linux

package disk_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestFailedInitLeavesNothing makes authorities on disks that have room for more and more
// files, and for more and more octets: so the writes fail one after the other. Nothing is left of an
// authority that could not be made, the directories included.
func TestFailedInitLeavesNothing(t *testing.T) {
	for what, option := range map[string]func(n int) string{
		"files":  func(n int) string { return fmt.Sprintf("nr_inodes=%d", n+1) }, // one is the root of the disk
		"octets": func(n int) string { return fmt.Sprintf("size=%dk", 16*n) },
	} {
		t.Run(what, func(t *testing.T) {
			failed := 0
			for n := 1; ; n++ {
				made, err := initOn(t, option(n))
				if err == nil {
					break
				}
				failed++
				if made != "" {
					t.Errorf("%s: after %v there is %s", option(n), err, made)
				}
			}
			if failed < 8 {
				t.Errorf("only %d failures were tried", failed)
			}
		})
	}
}

// initOn makes an authority on a disk of its own, and returns what is on the disk after a
// failure.
func initOn(t *testing.T, option string) (left string, failure error) {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, option); err != nil {
		peer.Missing(t, "this test mounts a small disk, for which it must be root: "+err.Error())
	}
	defer syscall.Unmount(dir, 0)
	c := server.InitConfig{Dir: filepath.Join(dir, "server", "a"), RootDir: filepath.Join(dir, "safe", "roots"), TrustDomain: "example.internal", NoPassphrase: true, RootLists: 1}
	made, err := server.Init(t.Context(), c, time.Time{})
	if err != nil && made != nil {
		t.Errorf("%s: got %+v beside the error %v", option, made, err)
	}
	entries, unread := os.ReadDir(dir)
	if unread != nil {
		t.Fatal(unread)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " "), err
}
