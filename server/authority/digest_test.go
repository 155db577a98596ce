package authority

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// FuzzReadDigest: a digest that is accepted is of exactly what stands before it.
func FuzzReadDigest(f *testing.F) {
	f.Add([]byte("store"), []byte(`{"size":5,"sha256":"d1c78e0a1de42d7c7cdcfc43e97ad51ad6dd22b2d54f4b5dbb3ad6b1b7c9d4c8"}`), uint64(90))
	f.Add([]byte{}, []byte(`{"size":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`), uint64(86))
	f.Add([]byte("x"), []byte(`{}`), uint64(1)<<63)
	f.Fuzz(func(t *testing.T, store, text []byte, length uint64) {
		whole := append(append([]byte{}, store...), text...)
		whole = append(binary.BigEndian.AppendUint64(whole, length), digestMark...)
		file := filepath.Join(t.TempDir(), "backup")
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := readDigest(file)
		if errors.Is(err, errNoDigest) {
			t.Errorf("the mark was not found: %v", err)
		}
		if err == nil && d.Size+int64(length)+int64(len(digestMark))+8 != int64(len(whole)) {
			t.Errorf("a digest of %d octets and %d of its own in a file of %d", d.Size, length, len(whole))
		}
		if _, err := d.signedBy(nil); err == nil {
			t.Error("no key is known, and one signed")
		}
		if err := os.WriteFile(file, whole[:max(0, len(whole)-1)], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readDigest(file); err == nil {
			t.Error("a digest without its last octet was read")
		}
	})
}

// FuzzParseKeys: what is not PEM is refused, and what is read has a key.
func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA4Mu9DWNN7/xWK09klhzssysutgH4iacxgbXqw3FcQlk=\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte("# brevet issuer key 0b3c (ed25519)\n-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA4Mu9DWNN7/xWK09klhzssysutgH4iacxgbXqw3FcQlk=\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte(" "))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := parseKeys(text)
		if (err == nil) != (len(found) > 0) && text != nil {
			t.Errorf("%q: %d keys, %v", text, len(found), err)
		}
		for _, p := range Purposes().Names() {
			var list []api.Key
			for _, k := range found {
				list = append(list, api.Key{Purpose: string(p), ID: "0b3c", Public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.spki}))})
			}
			again, err := parseKeys(WriteKeys(list))
			if found != nil && (err != nil || len(again) != len(found)) {
				t.Fatalf("%q: %d keys, %v, want %d", WriteKeys(list), len(again), err, len(found))
			}
			for n, k := range again {
				if k.purpose != p || !bytes.Equal(k.spki, found[n].spki) {
					t.Errorf("%q: %+v", WriteKeys(list), k)
				}
			}
		}
	})
}
