package pqc

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestKeysReadAndWriteTheSame(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		k := testKey(t, alg)
		var _ crypto.Signer = k
		raw, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > alg.PrivateKeySize() || len(k.PublicKey().Bytes()) != alg.PublicKeySize() {
			t.Errorf("sizes %d and %d", len(raw), len(k.PublicKey().Bytes()))
		}
		again, err := NewPrivateKey(alg, raw)
		if err != nil || !again.Equal(k) || !again.PublicKey().Equal(k.Public()) {
			t.Errorf("the raw private key reads differently (%v)", err)
		}
		der, err := MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePKCS8PrivateKey(der); err != nil || !again.Equal(k) {
			t.Errorf("PKCS #8 reads differently (%v)", err)
		}
		if pub, err := ParsePKIXPublicKey(MarshalPKIXPublicKey(k.PublicKey())); err != nil || !pub.Equal(k.PublicKey()) {
			t.Errorf("SubjectPublicKeyInfo reads differently (%v)", err)
		}
	})
}

func TestKeysAreTheirAlgorithms(t *testing.T) {
	a := testKey(t, MLDSA44RSA2048PSSSHA256)
	raw, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewPrivateKey(MLDSA44RSA2048PKCS15SHA256, raw)
	if err != nil {
		t.Fatal(err)
	}
	if a.Equal(b) || a.PublicKey().Equal(b.PublicKey()) {
		t.Error("keys of two algorithms are equal")
	}
	if a.Equal(raw) || a.PublicKey().Equal(a.PublicKey().Bytes()) {
		t.Error("a key equals its bytes")
	}
}

func TestPrivateKeyIsHidden(t *testing.T) {
	for _, alg := range []Algorithm{MLDSA44, MLDSA65ECDSAP256SHA512} {
		k := testKey(t, alg)
		text, err := json.Marshal(map[string]any{"key": k})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("a", "key", k)
		for _, s := range []string{
			fmt.Sprint(k), fmt.Sprintf("%x %d %+v %#v %s %q", k, k, k, k, k, k), fmt.Sprintf("%v", struct{ K any }{k}),
			string(text), log.String(),
		} {
			if !strings.Contains(s, hidden) || len(s) > 200 {
				t.Errorf("printed as %.200q", s)
			}
		}
	}
}

// TestComponentIDs: the components of a composite are found where they stand alone.
func TestComponentIDs(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		pub := testKey(t, alg).PublicKey()
		ids, err := pub.ComponentIDs()
		if err != nil {
			t.Fatal(err)
		}
		set := alg.row().mldsa
		alone, err := ParseAlgorithm(fmt.Sprintf("mldsa%d", alg.Level()))
		if err != nil {
			t.Fatal(err)
		}
		pure, err := NewPublicKey(alone, pub.Bytes()[:set.publicKeySize])
		if err != nil {
			t.Fatal(err)
		}
		if ids[0] != sha256.Sum256(MarshalPKIXPublicKey(pure)) {
			t.Error("the ML-DSA component is not found")
		}
		if !alg.Composite() {
			if len(ids) != 1 {
				t.Errorf("got %d, want 1", len(ids))
			}
			return
		}
		der, err := pub.trad.spki()
		if err != nil || ids[1] != sha256.Sum256(der) {
			t.Errorf("the traditional component is not found (%v)", err)
		}
		if _, err := x509.ParsePKIXPublicKey(der); err != nil && alg != MLDSA87Ed448SHAKE256 { // which crypto/x509 does not know
			t.Errorf("the traditional component is no key: %v", err)
		}
	})
}
