package file

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

func samePublic(t *testing.T, signer crypto.Signer, k keys.Key) {
	t.Helper()
	if !k.Fits(signer) {
		t.Errorf("the signer has another public key than the record, %x", k.Public)
	}
}

func TestRoundTrip(t *testing.T) {
	for name, p := range map[string]Passphrase{"plain": NoPassphrase, "sealed": passphrase(t, phrase)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := NewStore(dir, p)
			var ks []keys.Key
			for _, a := range keys.Algorithms() {
				k, signer, err := s.Generate(keys.Tokens, a, now)
				if err != nil {
					t.Fatal(err)
				}
				samePublic(t, signer, k)
				ks = append(ks, k)
				path := filepath.Join(dir, "tokens-"+k.ID[:16]+".key")
				info, err := os.Stat(path)
				if err != nil || info.Mode() != 0o600 {
					t.Fatalf("the file of the key: %v, %v; want %s of mode 0600", info, err, path)
				}
				text, err := os.ReadFile(path)
				if sealed := bytes.HasPrefix(text, []byte("-----BEGIN ENCRYPTED ")); err != nil || sealed != (name == "sealed") {
					t.Errorf("%s begins %.40q, %v", path, text, err)
				}
				if name == "sealed" {
					parameters(t, text)
				}
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) != len(ks) {
				t.Errorf("the directory holds %v, %v; want %d files", files, err, len(ks))
			}
			signers, err := keys.Signers(NewStore(dir, p), ks...)
			if err != nil {
				t.Fatal(err)
			}
			for i, signer := range signers {
				samePublic(t, signer, ks[i])
			}
		})
	}
}

// parameters checks what the comment of the package promises of a sealed file.
func parameters(t *testing.T, text []byte) {
	t.Helper()
	block, _ := pem.Decode(text)
	s, err := parseSealed(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	kdf := s.Algorithm.Params.KDF.Params
	if kdf.Iterations != 600_000 || len(kdf.Salt) != 16 {
		t.Errorf("got %d iterations and a salt of %d bytes, want 600000 and 16", kdf.Iterations, len(kdf.Salt))
	}
}

// TestRefusedFiles puts each file that must not load in the place of a good one.
func TestRefusedFiles(t *testing.T) {
	k, signer := freshKey(t, keys.Issuer, keys.ECDSAP256)
	_, stranger := freshKey(t, keys.Issuer, keys.ECDSAP256)
	_, other := freshKey(t, keys.Issuer, keys.Ed25519)
	plain, sealed := plainText(t, signer), sealCheaply(t, signer, phrase, nil)
	withKey, none := passphrase(t, phrase), NoPassphrase
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(plain)
	header := pem.EncodeToMemory(&pem.Block{Type: block.Type, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: block.Bytes})
	sec1 := bytes.ReplaceAll(plain, []byte("PRIVATE KEY"), []byte("EC PRIVATE KEY"))
	longer := func(text []byte) []byte {
		block, _ := pem.Decode(text)
		block.Bytes = append(block.Bytes, 0)
		return pem.EncodeToMemory(block)
	}
	flip := func(text []byte, fromEnd int) []byte {
		block, _ := pem.Decode(text)
		block.Bytes[len(block.Bytes)-fromEnd] ^= 1
		return pem.EncodeToMemory(block)
	}

	for _, test := range []struct {
		name       string
		text       []byte
		mode       fs.FileMode
		passphrase Passphrase
		want       string // part of the error; "" if the file is good
	}{
		{"good", sealed, 0o600, withKey, ""},
		{"good and plain", plain, 0o600, none, ""},
		{"read only", sealed, 0o400, withKey, ""},
		{"wrong passphrase", sealed, 0o600, passphrase(t, "wrong"), "wrong passphrase"},
		{"beginning of the passphrase", sealed, 0o600, passphrase(t, phrase[:8]), "wrong passphrase"},
		{"no passphrase", sealed, 0o600, none, "is sealed: give --passphrase-file"},
		{"no word about passphrases", sealed, 0o600, Passphrase{}, "give --passphrase-file"},
		{"no word, and plain", plain, 0o600, Passphrase{}, "say --no-passphrase"},
		{"plain under a passphrase", plain, 0o600, withKey, "is not sealed though a passphrase was given"},
		{"group reads", sealed, 0o640, withKey, "run chmod 600 /"},
		{"group writes", sealed, 0o620, withKey, "run chmod 600 /"},
		{"all read", sealed, 0o604, withKey, "run chmod 600 /"},
		{"swapped", sealCheaply(t, stranger, phrase, nil), 0o600, withKey, "holds another key than " + k.ID},
		{"swapped and plain", plainText(t, stranger), 0o600, none, "holds another key than " + k.ID},
		{"swapped for another algorithm", sealCheaply(t, other, phrase, nil), 0o600, withKey, "holds another key"},
		{"swapped for RSA", plainText(t, rsaKey), 0o600, none, "holds another key"},
		{"last block tampered", flip(sealed, 1), 0o600, withKey, "wrong passphrase"},
		{"public half tampered", flip(plain, 1), 0o600, none, ""}, // computed anew
		{"private half tampered", flip(plain, len(block.Bytes)-40), 0o600, none, "holds another key"},
		{"empty", nil, 0o600, withKey, "is not one PEM block"},
		{"truncated", sealed[:len(sealed)/2], 0o600, withKey, "is not one PEM block"},
		{"truncated at the end", sealed[:len(sealed)-8], 0o600, withKey, "is not one PEM block"},
		{"huge", bytes.Repeat([]byte("\n"), maxFile+1), 0o600, withKey, "more than 65536 octets"},
		{"huge with a key", append(bytes.Clone(sealed), make([]byte, maxFile)...), 0o600, withKey, "more than 65536 octets"},
		{"two keys", append(bytes.Clone(plain), plain...), 0o600, none, "is not one PEM block"},
		{"text before", append([]byte("key:\n"), plain...), 0o600, none, "is not one PEM block"},
		{"headers", header, 0o600, none, "is not one PEM block"},
		{"other PEM type", sec1, 0o600, none, "is not one PEM block"},
		{"more after the sealed key", longer(sealed), 0o600, withKey, "is not sealed by PBES2"},
		{"more after the plain key", longer(plain), 0o600, none, "holds no PKCS #8 private key"},
		{"noise as PKCS #8", pem.EncodeToMemory(&pem.Block{Type: plainType, Bytes: []byte("noise")}), 0o600, none, "holds no PKCS #8 private key"},
		{"noise as sealed", pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: []byte("noise")}), 0o600, withKey, "is not sealed by PBES2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := NewStore(t.TempDir(), test.passphrase)
			if err := os.WriteFile(s.Path(k), test.text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(s.Path(k), test.mode); err != nil {
				t.Fatal(err)
			}
			got, err := s.Signer(k)
			refused(t, got, err, test.want)
			if err != nil && !strings.Contains(err.Error(), s.dir) {
				t.Errorf("%q does not say where the file is", err)
			}
			if errors.Is(err, errPassphrase) != (test.want == "wrong passphrase") {
				t.Errorf("%q is errPassphrase: %v", err, errors.Is(err, errPassphrase))
			}
			if _, several := keys.Signers(s, k, k); (several == nil) != (err == nil) {
				t.Errorf("Signers: %v; Signer: %v", several, err)
			}
		})
	}
}

// refused checks that err is one line that says want and not the passphrase.
func refused(t *testing.T, got crypto.Signer, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got error %q, want none", err)
	case want == "":
	case err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n"):
		t.Errorf("got error %v, want one line with %q", err, want)
	case strings.Contains(err.Error(), phrase):
		t.Errorf("the error tells the passphrase: %q", err)
	case got != nil:
		t.Errorf("got a signer beside the error %q", err)
	}
}

// One flipped bit of a sealed file never yields another key.
func TestTamperedFile(t *testing.T) {
	k, signer := freshKey(t, keys.Issuer, keys.Ed25519)
	p := passphrase(t, phrase)
	s := NewStore(t.TempDir(), p)
	block, _ := pem.Decode(sealCheaply(t, signer, phrase, nil))
	for i := range 8 * len(block.Bytes) {
		der := bytes.Clone(block.Bytes)
		der[i/8] ^= 1 << (i % 8)
		if d, err := parseSealed(der); err == nil && d.Algorithm.Params.KDF.Params.Iterations > 1000 {
			continue // as costly as it says, and as useless
		}
		text := pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: der})
		if err := os.WriteFile(s.Path(k), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Signer(k); err == nil {
			samePublic(t, got, k)
		} else {
			refused(t, got, err, s.Path(k))
		}
	}
}

func TestNoRegularFile(t *testing.T) {
	k, _ := freshKey(t, keys.Issuer, keys.Ed25519)
	s := NewStore(t.TempDir(), NoPassphrase)
	got, err := s.Signer(k)
	refused(t, got, err, "restore it from a backup")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if err := syscall.Mkfifo(s.Path(k), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = s.Signer(k) // and does not wait for a writer
	refused(t, got, err, "not a regular file")
}

func TestGenerateRefuses(t *testing.T) {
	dir := t.TempDir()
	for what, generate := range map[string]func() (keys.Key, crypto.Signer, error){
		"no word about passphrases": func() (keys.Key, crypto.Signer, error) {
			return NewStore(dir, Passphrase{}).Generate(keys.Root, keys.Ed25519, now)
		},
		"unknown purpose": func() (keys.Key, crypto.Signer, error) {
			return NewStore(dir, NoPassphrase).Generate("../x", keys.Ed25519, now)
		},
		"unknown algorithm": func() (keys.Key, crypto.Signer, error) {
			return NewStore(dir, NoPassphrase).Generate(keys.Root, "rsa", now)
		},
		"missing directory": func() (keys.Key, crypto.Signer, error) {
			return NewStore(filepath.Join(dir, "missing"), NoPassphrase).Generate(keys.Root, keys.Ed25519, now)
		},
	} {
		if _, signer, err := generate(); err == nil || signer != nil {
			t.Errorf("%s: got %v, %v; want an error", what, signer, err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// No file is looked for under a record that does not agree with itself.
func TestInconsistentRecords(t *testing.T) {
	k, _ := freshKey(t, keys.Issuer, keys.ECDSAP256)
	other, _ := freshKey(t, keys.Issuer, keys.ECDSAP256)
	for what, change := range map[string]func(*keys.Key){
		"nothing":       func(k *keys.Key) { *k = keys.Key{} },
		"purpose":       func(k *keys.Key) { k.Purpose = "../../etc" },
		"algorithm":     func(k *keys.Key) { k.Algorithm = keys.ECDSAP384 },
		"identifier":    func(k *keys.Key) { k.ID = other.ID },
		"hostile path":  func(k *keys.Key) { k.ID = "../../../../../../../../../../etc/passwd" },
		"no public key": func(k *keys.Key) { k.Public = nil },
	} {
		bad := k
		change(&bad)
		s := NewStore(t.TempDir(), NoPassphrase)
		if _, err := s.Signer(bad); !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%s: Signer: got %v, want ErrInvalid", what, err)
		}
		if _, err := s.Has(bad); !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%s: Has: got %v, want ErrInvalid", what, err)
		}
		bad.State = keys.StateRetired
		if err := s.Destroy(bad); !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%s: Destroy: got %v, want ErrInvalid", what, err)
		}
	}
}

// purposes are what these tests have keys for.
var purposes = keys.Purposes{{Purpose: keys.Issuer}, {Purpose: keys.Tokens}}

// A crash after a key's file was written and before its record was committed
// leaves a file that nothing reads.
func TestCrashBeforeRecord(t *testing.T) {
	db, s := openDB(t), NewStore(t.TempDir(), NoPassphrase)
	crash := errors.New("crash")
	lost, _, err := s.Generate(keys.Issuer, keys.Ed25519, now)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(context.Background(), func(tx storage.Tx) error {
		_, err := purposes.Record(tx, lost, keys.StateActive, now)
		return errors.Join(err, crash)
	})
	if !errors.Is(err, crash) || errors.Is(err, keys.ErrTransition) {
		t.Fatal(err)
	}
	k, _, err := s.Generate(keys.Issuer, keys.Ed25519, now)
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx storage.Tx) error {
		_, err := purposes.Record(tx, k, keys.StateActive, now)
		return err
	})
	update(t, db, func(tx storage.Tx) error {
		active, err := keys.Active(tx, keys.Issuer)
		if err != nil || active.ID != k.ID {
			t.Errorf("got %s, %v; want %s", active.ID, err, k.ID)
		}
		signer, err := s.Signer(active)
		if err == nil {
			samePublic(t, signer, k)
		}
		return err
	})
	if _, err := os.Stat(s.Path(lost)); err != nil {
		t.Error(err)
	}
}

// Removal takes the file first; a crash before the record goes can be repeated.
func TestRemoval(t *testing.T) {
	db, s := openDB(t), NewStore(t.TempDir(), NoPassphrase)
	var ks []keys.Key
	for _, state := range []keys.State{keys.StateActive, keys.StateNext} {
		k, _, err := s.Generate(keys.Tokens, keys.ECDSAP256, now)
		if err != nil {
			t.Fatal(err)
		}
		update(t, db, func(tx storage.Tx) error {
			var err error
			k, err = purposes.Record(tx, k, state, now)
			return err
		})
		ks = append(ks, k)
	}
	for _, k := range ks {
		if err := s.Destroy(k); !errors.Is(err, keys.ErrTransition) {
			t.Errorf("Destroy of a %s key: %v, want ErrTransition", k.State, err)
		}
		if _, err := s.Signer(k); err != nil {
			t.Error(err)
		}
	}
	unrecorded, _, err := s.Generate(keys.Tokens, keys.ECDSAP256, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Destroy(unrecorded); err != nil {
		t.Errorf("Destroy of a key that never came on record: %v", err)
	}
	if there, err := s.Has(unrecorded); err != nil || there {
		t.Errorf("after Destroy its file is there: %t, %v", there, err)
	}
	var old keys.Key
	update(t, db, func(tx storage.Tx) error {
		_, err := purposes.Promote(tx, ks[1].ID, now)
		if err != nil {
			return err
		}
		old, err = keys.Get(tx, ks[0].ID)
		return err
	})
	if _, err := s.Signer(old); err != nil {
		t.Errorf("a retired key must still load: %v", err)
	}
	for range 2 { // the second time as after a crash
		if err := s.Destroy(old); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Signer(old); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a destroyed key: got %v, %v; want fs.ErrNotExist", got, err)
		}
	}
	update(t, db, func(tx storage.Tx) error { return keys.Remove(tx, old.ID) })
	update(t, db, func(tx storage.Tx) error {
		left, err := purposes.List(tx)
		if len(left) != 1 || left[0].ID != ks[1].ID || left[0].State != keys.StateActive {
			t.Errorf("left: %v, want the active key", left)
		}
		return err
	})
}

func plainText(t testing.TB, signer crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
