package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brevet-ca/brevet/storage/durable"
)

// TestKeep keeps the mode of what was there, or of another file, and follows no link.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	mode := func(path string, want os.FileMode) {
		t.Helper()
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: got %v, %v, want %v", path, info, err, want)
		}
	}
	keep := func(path, like string) {
		t.Helper()
		if err := durable.Keep(path, like, []byte("text"), durable.Private); err != nil {
			t.Fatal(err)
		}
	}
	keep(path, path)
	mode(path, 0o600)
	for _, m := range []os.FileMode{0o640, 0o644, 0o400, 0o777} {
		if err := os.Chmod(path, m|os.ModeSetuid); err != nil {
			t.Fatal(err)
		}
		keep(path, path)
		mode(path, m)
		keep(path+".new", path)
		mode(path+".new", m)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := durable.SetAccess(link, durable.Public); err == nil {
		t.Error("the mode of what a link leads to was changed")
	}
	keep(link, link)
	mode(link, 0o600)
	mode(path, 0o777)
}

// TestSetAccess changes what it is told and nothing else.
func TestSetAccess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := durable.WriteFile(path, nil); err != nil {
		t.Fatal(err)
	}
	for _, m := range []os.FileMode{0o640, 0} {
		if err := durable.SetAccess(path, durable.Access{Mode: m, UID: -1, GID: os.Getgid()}); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
			t.Errorf("got %v, %v", info, err)
		}
	}
}
