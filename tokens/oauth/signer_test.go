package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
)

// sizes are those of the signatures that strangers make up, by algorithm; all others of
// RSA are as that of RS256.
var sizes = map[string]int{jose.ES256: 64, jose.ES384: 96, jose.ES512: 132, jose.EdDSA: 64, jose.Ed25519: 64, "RS256": 256}

func signedBy(t *testing.T, alg string) signedAssertion {
	t.Helper()
	size := sizes[alg]
	if a, err := pqc.AlgorithmByJOSE(alg); err == nil {
		size = a.SignatureSize()
	} else if size == 0 {
		size = sizes["RS256"]
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode(fmt.Appendf(nil, `{"alg":%q}`, alg)) + "." + encode([]byte(`{"iss":"bot","sub":"bot"}`)) + "." + encode([]byte(strings.Repeat("\x01", size)))
	s, err := parseAssertion(text)
	if err != nil {
		t.Fatalf("%s: %v", alg, err)
	}
	return s
}

// TestStrangersCostTheSame: an assertion that nobody's key signed costs as many checks of
// signatures whether the agent has no keys (as one that does not exist) or some, of
// whatever kinds.
func TestStrangersCostTheSame(t *testing.T) {
	spki := func(public crypto.PublicKey, err error) agents.Key {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return agents.Key{Public: der}
	}
	onCurve := func(c elliptic.Curve) agents.Key {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		return spki(k.Public(), err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	r, err2 := rsa.GenerateKey(rand.Reader, 2048)
	all := []agents.Key{onCurve(elliptic.P256()), onCurve(elliptic.P384()), onCurve(elliptic.P521()), spki(ed, err), spki(r.Public(), err2)}
	for _, alg := range pqc.Algorithms() {
		if alg.JOSE() == "" {
			continue
		}
		k, err := pqc.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, agents.Key{Public: pqc.MarshalPKIXPublicKey(k.PublicKey())})
	}
	many := []agents.Key{all[0], all[0], all[0], onCurve(elliptic.P256()), onCurve(elliptic.P256()), all[0]}
	for _, alg := range assertionAlgorithms {
		s := signedBy(t, alg)
		for what, candidates := range map[string][]agents.Key{"none": nil, "one of each kind": all, "one of each kind, twice": append(all, all...), "three on a curve, renewed": many} {
			n := 0
			_, ok := s.signer(candidates, func(key crypto.PublicKey) bool {
				if n++; !jose.Fits(key, alg) {
					t.Errorf("%s: a %T is tried", alg, key)
				}
				return s.Verify(key)
			})
			if ok || n != triedAtLeast {
				t.Errorf("%s, keys of the agent: %s: %d signatures are checked, want %d; found: %t", alg, what, n, triedAtLeast, ok)
			}
		}
	}
}
