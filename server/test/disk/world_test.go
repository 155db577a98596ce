//go:build linux

package disk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// smallDisk makes a disk on which the authorities of the test lie.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		peer.Missing(t, "this test mounts a small disk, for which it must be root: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("TMPDIR", dir)
	return dir
}

// A filler takes all the room that a disk has, until it is told to stop.
type filler struct {
	t    *testing.T
	name string
}

func fill(t *testing.T, dir string) filler {
	t.Helper()
	f := filler{t, filepath.Join(dir, "other")}
	f.more()
	return f
}

// more takes what there is, also what has become free since.
func (f filler) more() {
	f.t.Helper()
	file, err := os.OpenFile(f.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		f.t.Fatal(err)
	}
}

func (f filler) stop() {
	f.t.Helper()
	if err := os.Remove(f.name); err != nil {
		f.t.Fatal(err)
	}
}

// exhaust registers agents with much to say about themselves until the store
// takes no more, and returns what it said then.
func exhaust(t *testing.T, w *servertest.World) error {
	t.Helper()
	labels := map[string]string{}
	for i := range 64 {
		labels[fmt.Sprintf("label-%02d", i)] = strings.Repeat("x", 256)
	}
	for i := range 2000 {
		if _, err := w.Admin.AddAgent(t.Context(), fmt.Sprintf("bulky-%d", i), api.Change{Owner: new("bulk"), Labels: labels}); err != nil {
			return err
		}
	}
	t.Fatal("the store takes any number of agents on a small disk")
	return nil
}
