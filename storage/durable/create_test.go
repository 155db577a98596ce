package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestCreateNeverReplaces: where hard links do not work, Create fails. A file that came
// in the meantime stays, and nothing is left beside it.
func TestCreateNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := Begin(path)
	if err != nil {
		t.Fatal(err)
	}
	f.link = func(from, to string) error {
		if err := os.WriteFile(path, []byte("of another"), 0o600); err != nil {
			t.Fatal(err)
		}
		return &os.LinkError{Op: "link", Old: from, New: to, Err: fs.ErrPermission}
	}
	err = f.Create()
	f.Discard()
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want an error of link", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "of another" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("left are %v, %v", all, err)
	}
}
