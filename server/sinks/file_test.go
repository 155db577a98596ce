package sinks

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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
// is not one of events is refused and stays as it is.
func TestTornLineIsMended(t *testing.T) {
	const one, cef = `{"seq":0}` + "\n", "CEF:0|brevet|brevet|1\n"
	for before, after := range map[string]string{
		"": "", one: one, one + "b": one, `{"seq":1`: "", `{"s`: "", "CEF:0|bre": "", one + "\nc\n{\"seq\":": one + "\nc\n", cef + one + "{": cef + one,
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
	for what, before := range map[string]string{
		"an image": string(make([]byte, 2*maxLine)), "a key": "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n",
		"a secret without a line feed": "whsec_hush", "one line": one + strings.Repeat("x", 2*maxLine), "no event": "{}\n",
	} {
		name := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(name, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (&logFile{Config: Config{Target: name}}).reopen(); err == nil {
			t.Errorf("%s was opened", what)
		}
		if text, err := os.ReadFile(name); err != nil || string(text) != before {
			t.Errorf("%s was changed: %v", what, err)
		}
	}
}
