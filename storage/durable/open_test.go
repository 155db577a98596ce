//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func makePipe(path string) error { return syscall.Mkfifo(path, 0o600) }

func TestOpenRefusesWhatIsNotARegularFile(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, make := range map[string]func(string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"pipe":      makePipe,
		"socket":    func(p string) error { _, err := net.Listen("unix", p); return err },
		"link":      func(p string) error { return errors.Join(makePipe(in("far")), os.Symlink(in("far"), p)) },
		"device":    func(p string) error { return os.Symlink(os.DevNull, p) },
	} {
		if err := make(in(name)); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(in(name)); err == nil || !strings.Contains(err.Error(), in(name)) {
			t.Errorf("%s: Open returned %v, %v", name, f, err)
		}
		if _, err := ReadFile(in(name), 1); err == nil {
			t.Errorf("%s: ReadFile read it", name)
		}
		if _, err := OpenFile(in(name), os.O_RDWR|os.O_CREATE, 0o600); err == nil {
			t.Errorf("%s: OpenFile opened it for writing", name)
		}
	}
	if _, err := Open(in("nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := WriteFile(path, []byte("content")); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if text, err := ReadFile(name, 7); err != nil || string(text) != "content" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := ReadFile(path, 6); err == nil {
		t.Error("read more than its limit")
	}
}
