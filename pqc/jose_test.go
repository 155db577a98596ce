package pqc

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

type joseExample struct {
	Priv       string
	Seed       string `json:"mldsa_seed"`
	EdDSASeed  string `json:"eddsa_seed"`
	JWK        json.RawMessage
	JWS        string
	ToBeSigned string `json:"raw_to_be_signed"`
	RawSig     string `json:"raw_composite_signature"`
	RawPub     string `json:"raw_composite_public_key"`
	PureSig    string `json:"raw_signature"`
	PurePub    string `json:"raw_public_key"`
}

// inJOSE are the names of all composites in JOSE; two of them are offered.
var inJOSE = map[string]Algorithm{
	"ML-DSA-44-ES256": MLDSA44ECDSAP256SHA256, "ML-DSA-65-ES256": MLDSA65ECDSAP256SHA512,
	"ML-DSA-87-ES384": MLDSA87ECDSAP384SHA512, "ML-DSA-87-Ed448": MLDSA87Ed448SHAKE256,
}

func TestJOSEExamples(t *testing.T) {
	set, files := vectors(t, "jose", joseFiles)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			set.ran++
			e := readJSON[joseExample](t, file)
			name, _, _ := strings.Cut(filepath.Base(file), ".")
			if alg, err := AlgorithmByJOSE(name); err == nil {
				testJOSE(t, alg, &e)
				return
			}
			if _, err := ParsePrivateJWK(e.JWK); !errors.Is(err, ErrUnknownAlgorithm) {
				t.Errorf("got %v, want %v", err, ErrUnknownAlgorithm)
			}
			alg, ok := inJOSE[name]
			if !ok {
				set.passOver(1, "no algorithm of ours: "+name)
				set.ran--
				return
			}
			testJOSERaw(t, alg, &e, strings.Contains(file, "draft03"))
		})
	}
}

func testJOSE(t *testing.T, alg Algorithm, e *joseExample) {
	k, err := ParsePrivateJWK(e.JWK)
	if err != nil {
		t.Fatal(err)
	}
	pub := k.PublicKey()
	if k.Algorithm() != alg || !bytes.Equal(pub.Bytes(), fromHex(t, e.RawPub+e.PurePub)) {
		t.Errorf("got a key of %v, want that of the example", k.Algorithm())
	}
	if raw, err := k.Bytes(); err != nil || !bytes.Equal(raw, fromHex(t, e.Priv+e.Seed+e.EdDSASeed)) {
		t.Errorf("another private key (%v)", err)
	}
	testJWKMembers(t, k, e)
	input, sig := splitJWS(t, e.JWS)
	if !bytes.Equal(sig, fromHex(t, e.RawSig+e.PureSig)) || !pub.VerifyJWS(alg.JOSE(), input, sig) {
		t.Error("the JWS is refused")
	}
	for _, other := range []string{"", "none", "ES256", "HS256", "ML-DSA-87", "ml-dsa-65"} {
		if other != alg.JOSE() && pub.VerifyJWS(other, input, sig) {
			t.Errorf("the JWS is accepted as %q", other)
		}
	}
	if alg.Composite() && !bytes.Equal(alg.row().representative(input, nil), fromHex(t, e.ToBeSigned)) {
		t.Error("another M'")
	}
	if _, err := ParseJWK(e.JWK); err == nil {
		t.Error("a private key is read as a public one")
	}
}

func testJWKMembers(t *testing.T, k *PrivateKey, e *joseExample) {
	var want, got map[string]string
	if err := json.Unmarshal(e.JWK, &want); err != nil {
		t.Fatal(err)
	}
	if kid, err := k.PublicKey().Thumbprint(); err != nil || kid != want["kid"] {
		t.Errorf("thumbprint: got %s (%v), want %s", kid, err, want["kid"])
	}
	b, err := k.PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	delete(want, "kid")
	if len(got) != len(want) {
		t.Errorf("got %d members, want %d", len(got), len(want))
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: got %.40q, want %.40q", name, got[name], want[name])
		}
	}
}

// testJOSERaw runs the examples whose names are not offered through the composite
// itself. Until draft -03 ECDSA keys and signatures had another form; M' held.
func testJOSERaw(t *testing.T, alg Algorithm, e *joseExample, draft03 bool) {
	input, sig := splitJWS(t, e.JWS)
	if !bytes.Equal(alg.row().representative(input, nil), fromHex(t, e.ToBeSigned)) {
		t.Error("another M'")
	}
	pub, err := NewPublicKey(alg, fromHex(t, e.RawPub))
	if draft03 && strings.Contains(alg.String(), "ECDSA") {
		if err == nil {
			t.Error("a point without 04 is read")
		}
		return
	}
	if err != nil || !pub.Verify(input, sig) {
		t.Errorf("the JWS is refused (%v)", err)
	}
}

func splitJWS(t *testing.T, s string) (input, sig []byte) {
	t.Helper()
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		t.Fatalf("no JWS: %.40q", s)
	}
	return []byte(s[:i]), fromURL(t, s[i+1:])
}
