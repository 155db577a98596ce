package durable_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/storage/durable"
)

// holds checks that path holds this text with mode 0600, and that nothing lies
// beside it.
func holds(t *testing.T, path, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || string(text) != want {
		t.Errorf("the file holds %q (%v), want %q", text, err, want)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %v (%v), want 0600 and no link", info.Mode(), err)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("the directory holds %v (%v), want one file", all, err)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"first", "", "a longer text than the first"} {
		if err := durable.WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		holds(t, path, text)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("hidden again")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "hidden again")
}

func TestCopyFile(t *testing.T) {
	from, path := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "file")
	text := strings.Repeat("text", 1<<20)
	if err := os.WriteFile(from, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := durable.CopyFile(path, from); err != nil {
		t.Fatal(err)
	}
	holds(t, path, text)
	if err := durable.CopyFile(path, from+".not"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("copying what is not there: %v", err)
	}
	if err := durable.CopyFile(path, t.TempDir()); err == nil {
		t.Error("a directory was copied")
	}
	holds(t, path, text)
}

// A link in the place of the file is replaced; what it leads to stays as it is.
func TestLinkIsNotFollowed(t *testing.T) {
	victim, path := filepath.Join(t.TempDir(), "victim"), filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.WriteFile(victim, nil, 0o644), os.Symlink(victim, path)); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "secret")
	if text, err := os.ReadFile(victim); err != nil || len(text) > 0 {
		t.Errorf("written through the link: %q, %v", text, err)
	}
}

// A write that fails leaves the directory as it was.
func TestFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "by a directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("text")); err == nil {
		t.Error("a directory was replaced")
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	begin := func(text string) *durable.File {
		t.Helper()
		f, err := durable.Begin(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		return f
	}
	begin("forgotten").Discard()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a discarded file took its place: %v", err)
	}
	f := begin("first")
	if err := f.Create(); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	holds(t, path, "first")
	f = begin("second")
	if err := f.Create(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating what is there: %v, want ErrExist", err)
	}
	f.Discard()
	holds(t, path, "first")
	f = begin("third")
	if err := f.Replace(); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	holds(t, path, "third")
}

// Writers that know nothing of each other never mix their texts, and readers see
// a whole one at every moment.
func TestWritersDoNotMix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	text := func(i int) string { return strings.Repeat(fmt.Sprint(i), 10000) }
	if err := durable.WriteFile(path, []byte(text(0))); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for range 20 {
				if err := durable.WriteFile(path, []byte(text(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		got, err := os.ReadFile(path)
		if err != nil || len(got) != 10000 || strings.Trim(string(got), string(got[:1])) != "" {
			t.Fatalf("read %d bytes of no single writer, %v", len(got), err)
		}
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := errors.Join(durable.WriteFile(from, []byte("text")), durable.Rename(from, to)); err != nil {
		t.Fatal(err)
	}
	holds(t, to, "text")
	if err := durable.Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("renaming what is not there: %v", err)
	}
	if err := durable.SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("syncing what is not there: %v", err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	f, err := durable.Begin(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // and here the process ends
	for _, name := range []string{"file", ".file", ".file.bak", ".file.new.1", ".other.1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := durable.Sweep(path); err != nil {
			t.Fatal(err)
		}
		all, err := os.ReadDir(dir)
		if err != nil || len(all) != 5 {
			t.Errorf("left after the sweep: %v, %v; want all but what Begin made", all, err)
		}
	}
	if err := os.MkdirAll(path+".d/.file.1", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.SweepDir(path+".d", func(string) bool { return true }); err != nil {
		t.Errorf("of a directory with such a name: %v", err)
	}
	t.Chdir(dir)
	if err := durable.Sweep("file"); err != nil {
		t.Errorf("of a bare name: %v", err)
	}
}

func TestWritePublicIsReadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"first", "second"} {
		if err := durable.WritePublic(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, err2 := os.Stat(path)
		if err != nil || err2 != nil || string(got) != text || info.Mode().Perm() != 0o644 {
			t.Errorf("%q, %v, %v %v", got, info.Mode(), err, err2)
		}
	}
}
