package server_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/brevet-ca/brevet/server"
)

// TestBackupThatChangesMeanwhile: another file takes the place of the backup each time that the
// restore has closed it. A file that was not checked is not restored.
func TestBackupThatChangesMeanwhile(t *testing.T) {
	for after := range 6 {
		k := newKeptWorld(t, "")
		k.Stop()
		text, err := os.ReadFile(k.file)
		if err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(filepath.Dir(k.file), "other.db")
		edit(t, other, text, false)
		swapped := make(chan error, 1)
		go func() { swapped <- swapAfter(k.file, other, after+1) }()
		for len(swapped) == 0 {
			evidence := server.Evidence{Keys: k.keys["audit"]}
			if _, err := server.Restore(t.Context(), server.RestoreConfig{Dir: k.Dir, File: k.file, Evidence: evidence}, k.Clock.Now()); err == nil {
				k.Start()
				if a, err := k.Admin.Agent(t.Context(), "bot"); err != nil || len(a.Scopes) != 1 || a.Scopes[0] != "read" {
					t.Fatalf("swapped after %d: restored was %q, %v", after+1, a.Scopes, err)
				}
				k.Stop()
				os.Rename(k.File("brevet.db.before-restore"), k.File("brevet.db"))
			}
		}
		if err := <-swapped; err != nil {
			t.Fatal(err)
		}
	}
}

// swapAfter moves another file to a name when a file there was closed n times.
func swapAfter(file, other string, n int) error {
	fd, err := syscall.InotifyInit()
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if _, err := syscall.InotifyAddWatch(fd, file, syscall.IN_CLOSE_NOWRITE); err != nil {
		return err
	}
	for event := make([]byte, syscall.SizeofInotifyEvent); n > 0; n-- {
		if _, err := syscall.Read(fd, event); err != nil {
			return err
		}
	}
	return os.Rename(other, file)
}
