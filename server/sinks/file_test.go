package sinks

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFileIsRotatedByOthers: after a rename, as logrotate makes it, and a removal, a new file
// goes on.
func TestFileIsRotatedByOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "audit.jsonl")
	db := openStore(t, dir)
	defer db.Close()
	r := start(t, db, Config{Name: "archive", Kind: File, Target: name})
	r.add(10)
	r.caughtUp()
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	r.add(10)
	r.caughtUp()
	var got received
	got.readFiles(t, name)
	got.check(t, db)
	if len(got.seqs) != 20 {
		t.Errorf("%d lines, want 20", len(got.seqs))
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	r.add(10)
	r.caughtUp()
	if text, err := os.ReadFile(name); err != nil || bytes.Count(text, []byte("\n")) != 10 {
		t.Errorf("after a removal: %d lines, %v", bytes.Count(text, []byte("\n")), err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has %v", info.Mode())
	}
}

// TestFileIsRotatedBySize, and keeps as many as it should.
func TestFileIsRotatedBySize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "audit.jsonl")
	db := openStore(t, dir)
	defer db.Close()
	r := start(t, db, Config{Name: "archive", Kind: File, Target: name, MaxSize: 10_000, Keep: 3})
	for range 50 {
		r.add(5)
		r.caughtUp()
	}
	files, err := filepath.Glob(name + "*")
	if err != nil || len(files) != 4 {
		t.Errorf("got %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > 10_000 || f != name && info.Size() < 5_000 {
			t.Errorf("%s has %d octets, %v", f, info.Size(), err)
		}
	}
}

// TestTornLineIsMended: what a crash left of a line goes, whole lines stay, and a file that
// has no lines at all is refused.
func TestTornLineIsMended(t *testing.T) {
	for before, after := range map[string]string{
		"": "", "a\n": "a\n", "a\nb": "a\n", "b": "", "a\n\nc\n{\"seq\":": "a\n\nc\n",
	} {
		name := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(name, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		l := &logFile{Config: Config{Target: name}}
		err := l.reopen()
		l.close()
		if text, _ := os.ReadFile(name); err != nil || string(text) != after {
			t.Errorf("%q became %q, %v", before, text, err)
		}
	}
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, make([]byte, 2*maxLine), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&logFile{Config: Config{Target: name}}).reopen(); err == nil {
		t.Error("a file that has no lines was opened")
	}
	if info, err := os.Stat(name); err != nil || info.Size() != 2*maxLine {
		t.Errorf("it was changed: %v, %v", info, err)
	}
}
