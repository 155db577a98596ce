package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/storage/keys"
)

// TestResealed: every key can be read with the new passphrase only, whether it is set,
// changed or removed, and the files stay as they are.
func TestResealed(t *testing.T) {
	old, other := passphrase(t, phrase), passphrase(t, "another passphrase")
	for name, c := range map[string]struct{ from, to Passphrase }{
		"set": {NoPassphrase, other}, "changed": {old, other}, "removed": {old, NoPassphrase},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewStore(t.TempDir(), c.from)
			var made []keys.Key
			for _, a := range []keys.Algorithm{keys.ECDSAP256, "ecdsa-p256+mldsa44"} {
				k, _, err := s.Generate(keys.Issuer, a, now)
				if err != nil {
					t.Fatal(err)
				}
				made = append(made, k)
			}
			if err := os.WriteFile(filepath.Join(s.dir, "notes.key"), []byte("not ours"), 0o600); err != nil {
				t.Fatal(err)
			}
			files, err := s.Resealed(c.to)
			if err != nil || len(files) != len(made) {
				t.Fatalf("got %d files, %v", len(files), err)
			}
			for _, k := range made {
				if _, err := s.Signer(k); err != nil {
					t.Errorf("the old file: %v", err)
				}
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, k := range made {
				signer, err := NewStore(s.dir, c.to).Signer(k)
				if err != nil {
					t.Fatal(err)
				}
				samePublic(t, signer, k)
				if _, err := s.Signer(k); err == nil {
					t.Error("the old passphrase opens a new file")
				}
			}
		})
	}
}

// TestResealedNeedsAllKeys: if one file cannot be read, there is no result.
func TestResealedNeedsAllKeys(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), passphrase(t, "another passphrase")
	for _, p := range []Passphrase{passphrase(t, phrase), other} {
		if _, _, err := NewStore(dir, p).Generate(keys.Tokens, keys.ECDSAP256, now); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		from, to Passphrase
		want     string
	}{
		"one of another passphrase": {other, NoPassphrase, "cannot unseal"},
		"sealed, not plain":         {NoPassphrase, other, "is sealed"},
		"too short":                 {other, passphrase(t, "short"), "has 5 characters"},
		"none":                      {other, Passphrase{}, "give --passphrase-file"},
		"from none":                 {Passphrase{}, other, "need a passphrase"},
	} {
		if files, err := NewStore(dir, c.from).Resealed(c.to); err == nil || files != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %d files, %v", what, len(files), err)
		}
	}
}
