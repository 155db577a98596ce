package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestHealthTellsOfWhatItCannotLookAt: a key file that cannot be read, and the record of a root.
func TestHealthTellsOfWhatItCannotLookAt(t *testing.T) {
	a := newAuthority(t)
	file := filepath.Join(a.Dir, "tokens-"+a.key(t, keys.Tokens, keys.StateActive)[:16]+".key")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, file); err != nil {
		t.Fatal(err)
	}
	if told := about(t, a.authority, "key-"); len(told) != 1 || !strings.Contains(told[0], "cannot be read") {
		t.Errorf("%q", told)
	}
	root := a.key(t, keys.Root, keys.StateActive)
	if err := a.db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put("authorities", root, []byte("junk")) }); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(a.authority.Health(t.Context()), func(r api.Reason) bool { return r.ID == "store-unreadable" && r.Level == api.Critical }) {
		t.Error("the record of the root is damaged, and the health says nothing")
	}
}
