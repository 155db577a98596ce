package oauth_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
)

// TestRegisteredPostQuantumKeys: what is registered can be used, and its
// components nowhere else.
func TestRegisteredPostQuantumKeys(t *testing.T) {
	composite := newPQ(t, pqc.MLDSA65Ed25519SHA512)
	raw, err := composite.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	component, err := pqc.NewPrivateKey(pqc.MLDSA65, raw[:32])
	if err != nil {
		t.Fatal(err)
	}
	half := publicPEM(t, ed25519.NewKeyFromSeed(raw[32:]).Public())
	sibling, err := pqc.NewPrivateKey(pqc.MLDSA65Ed25519SHA512, slices.Concat(make([]byte, 32), raw[32:]))
	if err != nil {
		t.Fatal(err)
	}
	whole := newPQ(t, pqc.MLDSA44Ed25519SHA512)
	if raw, err = whole.Bytes(); err != nil {
		t.Fatal(err)
	}
	certified, err := pqc.NewPrivateKey(pqc.MLDSA44, raw[:32])
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		keys    []string
		because string
	}{
		"with its ML-DSA component":         {[]string{pqPEM(composite), pqPEM(component)}, "shares a component"},
		"with its Ed25519 component":        {[]string{half, pqPEM(composite)}, "shares a component"},
		"with one that shares a component":  {[]string{pqPEM(composite), pqPEM(sibling)}, "shares a component"},
		"without a name in JOSE":            {[]string{pqPEM(newPQ(t, pqc.MLDSA65ECDSAP256SHA512))}, "MLDSA65-ECDSA-P256-SHA512 has no name in JOSE here"},
		"cut off":                           {[]string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pqc.MarshalPKIXPublicKey(composite.PublicKey())[:1000]}))}, "public key"},
		"as a component of a certificate's": {[]string{pqPEM(certified)}, "shares a component"},
		"twice":                             {[]string{pqPEM(composite), pqPEM(composite)}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			m := newAlone(t, "")
			m.add(registered)
			m.certify(whole)
			err := m.Update(t.Context(), func(tx storage.Tx) error {
				change := agents.Change{Keys: c.keys}
				keys, err := change.KeyComponents()
				if err != nil {
					return err
				}
				_, err = agents.Set(tx, td, "bot", change, m.now, catest.Unchecked(keys...))
				return err
			})
			if c.because == "" && err != nil || c.because != "" && (err == nil || !strings.Contains(err.Error(), c.because)) {
				t.Errorf("got %v, want %q", err, c.because)
			}
		})
	}
}
