package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keysOnce makes a key for each algorithm that a Signer has, and one for RSA.
// The post-quantum ones come from fixed seeds.
var keysOnce = sync.OnceValues(func() (map[string]crypto.Signer, error) {
	keys := map[string]crypto.Signer{}
	var err error
	for alg, curve := range map[string]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()} {
		if keys[alg], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			return nil, err
		}
	}
	keys[jose.EdDSA] = ed25519.NewKeyFromSeed(make([]byte, 32))
	if keys[jose.RS256], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	for _, alg := range pqc.Algorithms() {
		if alg.JOSE() == "" {
			continue
		}
		if keys[alg.JOSE()], err = pqc.GenerateKey(alg); err != nil {
			return nil, err
		}
	}
	return keys, nil
})

func testKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	keys, err := keysOnce()
	check(t, err)
	return keys
}

func TestAlgorithmFitsOneKind(t *testing.T) {
	keys := testKeys(t)
	for name, key := range keys {
		if got, err := jose.Algorithm(key.Public()); err != nil || got != name {
			t.Errorf("got %s, %v, want %s", got, err, name)
		}
		for _, alg := range append(append(jose.Classical(), jose.PostQuantum()...), "", "none", "HS256", "es256", "RS1") {
			_, isRSA := key.(*rsa.PrivateKey)
			want := alg == name || name == jose.EdDSA && alg == jose.Ed25519 || isRSA && (strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")) && alg != "RS1"
			if got := jose.Fits(key.Public(), alg); got != want {
				t.Errorf("a key for %s with %s: got %t, want %t", name, alg, got, want)
			}
		}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	check(t, err)
	noName, err := pqc.GenerateKey(pqc.MLDSA65ECDSAP384SHA512)
	check(t, err)
	for _, key := range []any{nil, "a key", p224.Public(), noName.Public(), keys[jose.ES256]} {
		if alg, err := jose.Algorithm(key); err == nil {
			t.Errorf("%T has the algorithm %s", key, alg)
		}
	}
}

func TestSignAndVerify(t *testing.T) {
	keys := testKeys(t)
	for name, key := range keys {
		s, err := jose.NewSigner(key, "k1", "at+jwt")
		if name == jose.RS256 {
			if err == nil {
				t.Error("RSA signs")
			}
			continue
		}
		check(t, err)
		text, err := s.Sign([]byte(`{"sub":"bot"}`))
		check(t, err)
		parsed, err := jose.ParseCompact(text)
		check(t, err)
		if string(parsed.Payload) != `{"sub":"bot"}` || parsed.Algorithm != name || s.Algorithm() != name ||
			string(parsed.Header["kid"]) != `"k1"` || string(parsed.Header["typ"]) != `"at+jwt"` {
			t.Errorf("%s: got %+v", name, parsed)
		}
		for other, k := range keys {
			if got := parsed.Verify(k.Public()); got != (other == name) {
				t.Errorf("signed by %s, verified by %s: %t", name, other, got)
			}
		}
		for _, sig := range [][]byte{nil, parsed.Signature[1:], append(parsed.Signature, 0), make([]byte, len(parsed.Signature))} {
			if jose.Verify(key.Public(), name, parsed.Input, sig) {
				t.Errorf("%s: a signature of %d octets verifies", name, len(sig))
			}
		}
		if jose.Verify(key.Public(), name, append(parsed.Input, 'x'), parsed.Signature) {
			t.Errorf("%s: another input verifies", name)
		}
		if !strings.HasPrefix(name, "ML") {
			theirs, err := gojose.ParseSignedCompact(text, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(name)})
			check(t, err)
			if _, err := theirs.Verify(key.Public()); err != nil {
				t.Errorf("%s: go-jose: %v", name, err)
			}
		}
	}
}

// TestVerifyRSA: with the six algorithms of RSA, and a PSS salt as long as the
// hash (RFC 7518, section 3.5).
func TestVerifyRSA(t *testing.T) {
	key := testKeys(t)[jose.RS256].(*rsa.PrivateKey)
	for _, alg := range []string{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(alg), Key: key}, nil)
		check(t, err)
		signed, err := signer.Sign([]byte("x"))
		check(t, err)
		text, err := signed.CompactSerialize()
		check(t, err)
		parsed, err := jose.ParseCompact(text)
		check(t, err)
		if !parsed.Verify(key.Public()) {
			t.Errorf("%s does not verify", alg)
		}
		for _, other := range jose.Classical() {
			if other != alg && jose.Verify(key.Public(), other, parsed.Input, parsed.Signature) {
				t.Errorf("a signature of %s verifies as %s", alg, other)
			}
		}
	}
	sum := sha256.Sum256([]byte("x"))
	for _, salt := range []int{0, 20, 32, 64} {
		sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt})
		check(t, err)
		if got := jose.Verify(key.Public(), jose.PS256, []byte("x"), sig); got != (salt == 32) {
			t.Errorf("a salt of %d octets: %t", salt, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	b64 := func(s string) string { return strict.ToBase64([]byte(s)) }
	good := b64(`{"alg":"ES256"}`)
	for _, tc := range []struct{ what, text, because string }{
		{"nothing", "", "three parts"},
		{"two parts", good + ".e30", "three parts"},
		{"four parts", good + ".e30.AA.", "three parts"},
		{"padding", good + ".e30=.AA", "payload: it is not base64url"},
		{"a line end", good + ".e30.A\nA", "signature: it is not base64url"},
		{"loose bits", good + ".e30.AB", "signature: it is not base64url"},
		{"a space before", " " + good + ".e30.AA", "header: it is not base64url"},
		{"a header that is no object", b64(`["alg"]`) + ".e30.AA", "want one JSON object"},
		{"two headers", b64(`{"alg":"ES256"}{}`) + ".e30.AA", "something follows"},
		{"alg twice", b64(`{"alg":"ES256","\u0061lg":"none"}`) + ".e30.AA", "comes twice"},
		{"an alg that is no string", b64(`{"alg":["ES256"]}`) + ".e30.AA", "alg must be a string"},
		{"an alg that is null", b64(`{"alg":null}`) + ".e30.AA", "alg must be a string"},
		{"an empty alg", b64(`{"alg":""}`) + ".e30.AA", "alg must be a string"},
		{"crit", b64(`{"alg":"ES256","crit":["x"],"x":1}`) + ".e30.AA", "crit asks for an extension"},
		{"crit without an extension", b64(`{"alg":"ES256","crit":["b64"]}`) + ".e30.AA", "crit asks for an extension"},
		{"crit that is null", b64(`{"alg":"ES256","crit":null}`) + ".e30.AA", "crit asks for an extension"},
		{"b64", b64(`{"alg":"ES256","b64":true}`) + ".e30.AA", "b64 asks for an extension"},
	} {
		if _, err := jose.ParseCompact(tc.text); err == nil || !strings.Contains(err.Error(), tc.because) {
			t.Errorf("%s: got %v, want %q", tc.what, err, tc.because)
		}
	}
	s, err := jose.ParseCompact(b64(`{"ALG":"ES256"}`) + ".e30.")
	check(t, err)
	for name, key := range testKeys(t) {
		if s.Verify(key.Public()) {
			t.Errorf("a JWS without alg verifies with a key for %s", name)
		}
	}
}

func TestKeys(t *testing.T) {
	for name, key := range testKeys(t) {
		text, err := json.Marshal(jose.Key{ID: "a <key>", Algorithm: name, Public: key.Public()})
		check(t, err)
		k, err := jose.ParseKey(text)
		if err != nil || k.ID != "a <key>" || k.Algorithm != name || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.Public) {
			t.Errorf("%s is read as %+v, %v", text, k, err)
		}
		if strings.HasPrefix(name, "ML") {
			continue
		}
		var theirs gojose.JSONWebKey
		check(t, theirs.UnmarshalJSON(text))
		sum, err := theirs.Thumbprint(crypto.SHA256)
		check(t, err)
		if got, err := jose.Thumbprint(key.Public()); err != nil || got != strict.ToBase64(sum) {
			t.Errorf("%s has the thumbprint %s, %v, go-jose says %s", name, got, err, strict.ToBase64(sum))
		}
		if theirs.KeyID != "a <key>" || theirs.Algorithm != name || theirs.Use != "sig" {
			t.Errorf("go-jose reads %+v", theirs)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	ec, err := jose.Canonical(testKeys(t)[jose.ES256].Public())
	check(t, err)
	n := strict.ToBase64(testKeys(t)[jose.RS256].(*rsa.PrivateKey).N.Bytes())
	with := func(more string) string { return `{` + more + `,` + string(ec)[1:] }
	for _, tc := range []struct{ what, text, because string }{
		{"no object", `[]`, "want one JSON object"},
		{"a member twice", with(`"kty":"EC"`), "comes twice"},
		{"no kty", `{}`, "kty must be a string"},
		{"a symmetric key", `{"kty":"oct","k":"AA"}`, "secret"},
		{"a private key", with(`"d":"AA"`), "secret"},
		{"another kty", `{"kty":"ec"}`, "is not EC, OKP, RSA or AKP"},
		{"another curve", `{"kty":"EC","crv":"P-224","x":"AA","y":"AA"}`, "want the curve"},
		{"a short coordinate", `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, "want x and y of 32 octets"},
		{"a point off the curve", `{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 42) + `A","y":"` + strings.Repeat("A", 42) + `A"}`, "point"},
		{"X25519", `{"kty":"OKP","crv":"X25519","x":"` + strings.Repeat("A", 43) + `"}`, "on the curve Ed25519"},
		{"a leading zero", `{"kty":"RSA","e":"AAEAAQ","n":"` + n + `"}`, "without leading zeros"},
		{"an exponent of 32 bits", `{"kty":"RSA","e":"gAAAAQ","n":"` + n + `"}`, "more than 31 bits"},
		{"no modulus", `{"kty":"RSA","e":"AQAB"}`, "want n and e"},
		{"for encryption", with(`"use":"enc"`), "not for verifying"},
		{"for signing only", with(`"key_ops":["sign"]`), "not for verifying"},
		{"for another algorithm", with(`"alg":"ES384"`), "such a key can be for ES256"},
		{"for RSA", `{"kty":"RSA","e":"AQAB","alg":"RS1","n":"` + n + `"}`, "such a key can be for RS256"},
		{"a kid that is no string", with(`"kid":1`), `"kid" has the wrong type`},
	} {
		if _, err := jose.ParseKey([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.because) {
			t.Errorf("%s: got %v, want %q", tc.what, err, tc.because)
		}
	}
	for _, empty := range []string{`"use":null,"alg":null,"key_ops":null,"kid":null`, `"use":"","alg":"","key_ops":[],"kid":""`} {
		if k, err := jose.ParseKey([]byte(with(empty))); err != nil || k.Algorithm != jose.ES256 {
			t.Errorf("with %s: %+v, %v", empty, k, err)
		}
	}
	if _, err := jose.ParseKey([]byte(with(`"kid":"a","priv":"AA"`))); !errors.Is(err, jose.ErrSecret) {
		t.Errorf("a private key: got %v, want %v", err, jose.ErrSecret)
	}
	k, err := jose.ParseKey([]byte(`{"kty":"RSA","e":"AQAB","alg":"PS384","n":"` + n + `","key_ops":["verify"],"x5c":[1]}`))
	if err != nil || k.Algorithm != jose.PS384 {
		t.Errorf("an RSA key for PS384: got %+v, %v", k, err)
	}
}

func TestClaims(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	want := jose.Claims{Issuer: "bot", Subject: "bot", ID: "1", Audience: []string{"https://a.example"}, Expiry: at.Add(time.Minute), IssuedAt: at}
	text, err := json.Marshal(want)
	check(t, err)
	if got := string(text); got != `{"iss":"bot","sub":"bot","aud":"https://a.example","exp":1700000060,"iat":1700000000,"jti":"1"}` {
		t.Errorf("got %s", got)
	}
	for _, tc := range []string{
		`[]`, `{"iss":1}`, `{"iss":null}`, `{"aud":null}`, `{"aud":1}`, `{"aud":{}}`, `{"aud":[1]}`, `{"aud":[null]}`, `{"aud":[["a"]]}`,
		`{"exp":"1"}`, `{"exp":null}`, `{"exp":-1}`, `{"exp":1e300}`, `{"nbf":true}`, `{"iat":[]}`, `{"exp":1,"exp":2}`, `{} {}`,
	} {
		if c, err := jose.ParseClaims([]byte(tc)); err == nil {
			t.Errorf("%s is read as %+v", tc, c)
		}
	}
	c, err := jose.ParseClaims([]byte(`{"aud":["a","b"],"exp":1700000000.9,"x":{"x":1}}`))
	if err != nil || len(c.Audience) != 2 || !c.Expiry.Equal(at) || !c.NotBefore.IsZero() {
		t.Errorf("got %+v, %v", c, err)
	}
}

// A broken key returns this signature.
type broken struct {
	crypto.Signer
	sig []byte
}

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return b.sig, nil }

func TestSignerChecksWhatTheKeyReturns(t *testing.T) {
	huge := new(big.Int).Lsh(big.NewInt(1), 300).Bytes()
	for _, sig := range [][]byte{nil, {0x30, 0}, {0x30, 6, 2, 1, 1, 2, 1, 0}, {0x30, 6, 2, 1, 0xff, 2, 1, 1}, append([]byte{0x30, byte(5 + len(huge)), 2, byte(len(huge))}, append(huge, 2, 1, 1)...)} {
		s, err := jose.NewSigner(broken{testKeys(t)[jose.ES256], sig}, "", "JWT")
		check(t, err)
		if text, err := s.Sign([]byte("x")); err == nil {
			t.Errorf("a signature %x became %s", sig, text)
		}
	}
}
