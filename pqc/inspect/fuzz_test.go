package inspect

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
)

// FuzzInspectJWS: what is accepted is what was signed.
func FuzzInspectJWS(f *testing.F) {
	seed := make([]byte, 64) // all processes of the fuzzer must have the same keys
	key, err := pqc.NewPrivateKey(pqc.MLDSA44Ed25519SHA512, seed)
	check(f, err)
	ed := ed25519.NewKeyFromSeed(append([]byte{1}, seed[:31]...))
	i := &Inspector{Time: time.Unix(1e9, 0)}
	check(f, i.AddKeys([]byte(`{"keys":[`+jwkOf(f, key)+","+jwkOf(f, ed)+"]}")))
	signed := map[string]bool{}
	for _, text := range []string{
		signJWS(f, key, `{"alg":"ML-DSA-44-Ed25519"}`, `{"exp":1000000001}`),
		signJWS(f, ed, "", "text"),
	} {
		parts := strings.Split(text, ".")
		signed[parts[0]+"."+parts[1]] = true
		doc, err := json.Marshal(map[string]any{"payload": parts[1], "signatures": []any{map[string]any{"protected": parts[0], "signature": parts[2]}}})
		check(f, err)
		f.Add([]byte(text))
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if v := i.JWS(file); v.Err != nil {
			return
		}
		s, err := readJWS(file)
		check(t, err)
		if !signed[string(s.Input)] {
			t.Errorf("accepted: %q", file)
		}
	})
}

// FuzzInspectX509: of a file that is good, no copy with a change in it is good.
func FuzzInspectX509(f *testing.F) {
	h := newHierarchy(f, composite)
	i := inspectorOf(f, h)
	i.RequireHybrid = true
	leaf, list := leaf(f, h.issuing).Raw, h.issuing.CRL(f, 1)
	for _, at := range []uint16{0, 1, 4, 20, 100, 300, 2000, 2500} {
		f.Add(at, byte(0), []byte{0x80})
		f.Add(at, byte(1), []byte{})
		f.Add(at, byte(0), []byte{0, 0})
	}
	f.Fuzz(func(t *testing.T, at uint16, drop byte, put []byte) {
		change := func(file []byte) []byte {
			from := int(at) % len(file)
			to := min(from+int(drop), len(file))
			return slices.Concat(file[:from], put, file[to:])
		}
		for _, tc := range []struct {
			file  []byte
			check func([]byte) Verdict
		}{{leaf, i.Certificate}, {list, i.CRL}} {
			if v := tc.check(tc.file); v.Err != nil {
				t.Fatal(v.Err)
			}
			if changed := change(tc.file); !bytes.Equal(changed, tc.file) && tc.check(changed).Err == nil {
				t.Errorf("accepted: %x", changed)
			}
			i.CSR(change(tc.file))
		}
	})
}
