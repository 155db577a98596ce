//go:build unix

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsAreForTheirOwners: whoever else a file gives access is refused, as far as the reader
// of that secret allows, with the command that helps. Pipes and open files are read.
func TestSecretsAreForTheirOwners(t *testing.T) {
	dir := t.TempDir()
	for mode, fine := range map[fs.FileMode][]fs.FileMode{
		0o400: {OwnerOnly, GroupReads, GroupToo}, 0o600: {OwnerOnly, GroupReads, GroupToo}, 0o700: {OwnerOnly, GroupReads, GroupToo},
		0o440: {GroupReads, GroupToo}, 0o640: {GroupReads, GroupToo}, 0o660: {GroupToo}, 0o620: {GroupToo},
		0o644: nil, 0o604: nil, 0o602: nil, 0o601: nil, 0o750: nil,
	} {
		path := filepath.Join(dir, fmt.Sprintf("%o", mode))
		if err := errors.Join(os.WriteFile(path, []byte("secret"), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		for _, most := range []fs.FileMode{OwnerOnly, GroupReads, GroupToo} {
			text, err := ReadSecret(path, 10, most)
			want := false
			for _, f := range fine {
				want = want || f == most
			}
			switch {
			case want && (err != nil || string(text) != "secret"):
				t.Errorf("mode %o where %o is allowed: %q, %v", mode, most, text, err)
			case !want && (!errors.Is(err, ErrExposed) || !strings.Contains(err.Error(), "chmod 600 "+path)):
				t.Errorf("mode %o where %o is allowed: %v, want a refusal", mode, most, err)
			}
		}
	}
	if _, err := ReadSecret(filepath.Join(dir, "600"), 3, OwnerOnly); err == nil {
		t.Error("a longer file was read")
	}
	open, err := os.Open(filepath.Join(dir, "644"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	again, err := os.Open(fmt.Sprintf("/dev/fd/%d", open.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := CheckSecret(again, OwnerOnly); err != nil {
		t.Errorf("a file that was open: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := CheckSecret(r, OwnerOnly); err != nil {
		t.Errorf("a pipe: %v", err)
	}
}
