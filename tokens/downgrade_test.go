package tokens_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

var b64url = base64.RawURLEncoding

// TestTokenOfAnotherAlgorithm: what says another algorithm than it was signed
// with, or was put together from two, is neither genuine nor active.
func TestTokenOfAnotherAlgorithm(t *testing.T) {
	m := newHybridMint(t, keys.ECDSAP256, "mldsa65-ed25519-sha512", bankURL)
	m.add(agents.Change{Scopes: []string{"a"}, Audiences: []string{bankURL, "https://api.example"}})
	mint := func(audience string) string {
		minted, err := m.Mint(t.Context(), for_(audience))
		if err != nil {
			t.Fatal(err)
		}
		return minted.Text.Reveal()
	}
	token, another, classical := mint(bankURL), mint(bankURL), mint("https://api.example")
	parts := strings.Split(token, ".")
	signature, err := b64url.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b64url.DecodeString(strings.Split(another, ".")[2])
	if err != nil {
		t.Fatal(err)
	}
	const mldsa = 3309 // octets of the first half
	halves := func(first, second []byte) string {
		return parts[0] + "." + parts[1] + "." + b64url.EncodeToString(slices.Concat(first, second))
	}
	published := m.published()
	if !tokenstest.Genuine(t, token, published) || !tokenstest.Genuine(t, another, published) {
		t.Fatal("a good one is not genuine")
	}
	bad := map[string]string{
		"the ML-DSA half alone":                     halves(signature[:mldsa], nil),
		"the Ed25519 half alone":                    halves(signature[mldsa:], nil),
		"the halves in another order":               halves(signature[mldsa:], signature[:mldsa]),
		"an Ed25519 half of another":                halves(signature[:mldsa], theirs[mldsa:]),
		"an ML-DSA half of another":                 halves(theirs[:mldsa], signature[mldsa:]),
		"no signature":                              halves(nil, nil),
		"the Ed25519 half twice":                    halves(signature, signature[mldsa:]),
		"the signature of another":                  parts[0] + "." + parts[1] + "." + strings.Split(another, ".")[2],
		"the signature of a classical one":          parts[0] + "." + parts[1] + "." + strings.Split(classical, ".")[2],
		"a classical one with the header of this":   parts[0] + "." + strings.Join(strings.Split(classical, ".")[1:], "."),
		"this one with the header of a classical":   strings.Split(classical, ".")[0] + "." + parts[1] + "." + parts[2],
		"saying none, without a signature":          strings.Join(strings.Split(tokenstest.Saying(t, token, "none"), ".")[:2], ".") + ".",
		"saying what its first half alone would":    strings.Join(strings.Split(tokenstest.Saying(t, token, "ML-DSA-65"), ".")[:2], ".") + "." + b64url.EncodeToString(signature[:mldsa]),
		"saying what its second half alone would":   strings.Join(strings.Split(tokenstest.Saying(t, token, "EdDSA"), ".")[:2], ".") + "." + b64url.EncodeToString(signature[mldsa:]),
		"saying what its second half is now called": strings.Join(strings.Split(tokenstest.Saying(t, token, "Ed25519"), ".")[:2], ".") + "." + b64url.EncodeToString(signature[mldsa:]),
	}
	for _, alg := range []string{"none", "", "ES256", "EdDSA", "HS256", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "ML-DSA-44-Ed25519", "ml-dsa-65-ed25519", "ML-DSA-65-ES256"} {
		bad["saying "+alg] = tokenstest.Saying(t, token, alg)
	}
	for what, text := range bad {
		if tokenstest.Genuine(t, text, published) {
			t.Errorf("%s: genuine", what)
		}
		if m.active(text) {
			t.Errorf("%s: active", what)
		}
	}
	if !m.active(token) || !m.active(classical) {
		t.Error("the good ones are not active")
	}
}
