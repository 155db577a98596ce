package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/brevet-ca/brevet/storage/durable"
)

// somebody is a user id that this process does not have.
const somebody = 54321

// TestRootGivesWhatItMakes: what root makes in somebody's directory belongs to that user,
// however it is made.
func TestRootGivesWhatItMakes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files in the directories of others")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, somebody, somebody); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	made := map[string]func(path string) error{
		"written": func(path string) error { return durable.WriteFile(path, nil) },
		"public":  func(path string) error { return durable.WritePublic(path, nil) },
		"copied":  func(path string) error { return durable.CopyFile(path, os.Args[0]) },
		"new": func(path string) error {
			f, err := durable.New(path)
			return errors.Join(err, f.Close())
		},
		"created": func(path string) error {
			f, err := durable.Begin(path)
			if err != nil {
				return err
			}
			defer f.Discard()
			return f.Create()
		},
		"dir/below":   durable.MakeDir,
		"dir/another": durable.MakeDir,
	}
	for name, do := range made {
		if err := do(at(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if uid, gid, ok := durable.Owner(info); !ok || uid != somebody || gid != somebody {
			t.Errorf("%s belongs to %d:%d", path, uid, gid)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNewFollowsNoLink: a link is not followed, whether it leads to a file or nowhere.
func TestNewFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	for _, there := range []bool{false, true} {
		link := filepath.Join(dir, "link")
		os.Remove(link)
		if there {
			if err := os.WriteFile(target, []byte("kept"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if _, err := durable.New(link); !errors.Is(err, fs.ErrExist) {
			t.Errorf("target there: %t, got %v", there, err)
		}
	}
	if text, err := os.ReadFile(target); err != nil || string(text) != "kept" {
		t.Errorf("the target holds %q, %v", text, err)
	}
	link := filepath.Join(dir, "link")
	if err := durable.WriteFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(target); err != nil || string(text) != "kept" {
		t.Errorf("after a write to the link, its target holds %q, %v", text, err)
	}
}

// TestMakeDir accepts an existing directory, and fails where a file is in the way.
func TestMakeDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := durable.MakeDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := durable.WriteFile(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := durable.MakeDir(file); err == nil {
		t.Error("a file was taken for a directory")
	}
}

// TestKeepOwner: root keeps the owner and the group of what it replaces, also in a directory
// of its own.
func TestKeepOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files to others")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := errors.Join(durable.WriteFile(path, nil), durable.SetAccess(path, durable.Access{Mode: 0o640, UID: somebody, GID: somebody + 1})); err != nil {
		t.Fatal(err)
	}
	if err := durable.Keep(path, path, []byte("text"), durable.Private); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if uid, gid, _ := durable.Owner(info); uid != somebody || gid != somebody+1 || info.Mode() != 0o640 {
		t.Errorf("it belongs to %d:%d, mode %v", uid, gid, info.Mode())
	}
}
