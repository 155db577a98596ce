package inspect

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signJWS returns a JWS in compact serialization with this header, true or not.
func signJWS(t testing.TB, key crypto.Signer, header, payload string) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	var sig []byte
	var err error
	if k, ok := key.(*pqc.PrivateKey); ok {
		sig, err = k.Sign(nil, []byte(input), nil)
		check(t, err)
		return input + "." + b64(string(sig))
	}
	alg, err := jose.Algorithm(key.Public())
	check(t, err)
	signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(alg), Key: key}, nil)
	check(t, err)
	signed, err := signer.Sign([]byte(payload))
	check(t, err)
	text, err := signed.CompactSerialize()
	check(t, err)
	return text
}

// jwkOf returns a public JWK.
func jwkOf(t testing.TB, key crypto.Signer) string {
	t.Helper()
	if k, ok := key.(*pqc.PrivateKey); ok {
		text, err := k.PublicKey().JWK()
		check(t, err)
		return string(text)
	}
	text, err := gojose.JSONWebKey{Key: key.Public()}.MarshalJSON()
	check(t, err)
	return string(text)
}

func jwsInspector(t testing.TB, keys string) *Inspector {
	t.Helper()
	i := &Inspector{Time: time.Now()}
	check(t, i.AddKeys([]byte(keys)))
	return i
}

func spkiPEM(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	var der []byte
	var err error
	if k, ok := key.(*pqc.PublicKey); ok {
		der = pqc.MarshalPKIXPublicKey(k)
	} else {
		der, err = x509.MarshalPKIXPublicKey(key)
	}
	check(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestInspectJWS(t *testing.T) {
	keys := map[string]crypto.Signer{}
	var err error
	for _, alg := range pqc.Algorithms() {
		if name := alg.JOSE(); name != "" {
			keys[name], err = pqc.GenerateKey(alg)
			check(t, err)
		}
	}
	for _, name := range []string{"ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "ML-DSA-44-Ed25519", "ML-DSA-65-Ed25519"} {
		if keys[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	keys["ES256"], err = newKey()
	check(t, err)
	keys["ES384"], err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	keys["RS256"], err = rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	_, keys["EdDSA"], err = ed25519.GenerateKey(rand.Reader)
	check(t, err)
	set := []string{`{"kty":"EC","crv":"P-0"}`, `{"kty":"new","alg":"better"}`}
	for _, key := range keys {
		set = append(set, jwkOf(t, key))
	}
	all := jwsInspector(t, `{"keys":[`+strings.Join(set, ",")+`]}`)
	for name, key := range keys {
		want := pkix.Classical
		if k, ok := key.(*pqc.PrivateKey); ok {
			want = pkix.PostQuantum
			if k.Algorithm().Composite() {
				want = pkix.Composite
			}
		}
		text := signJWS(t, key, `{"alg":"`+name+`"}`, `{"a":1}`)
		parts := strings.Split(text, ".")
		for _, i := range []*Inspector{all, jwsInspector(t, jwkOf(t, key)), jwsInspector(t, spkiPEM(t, key.Public()))} {
			good(t, i.JWS([]byte(text+"\n")), name, want, "the key that is given")
			good(t, i.JWS(fmt.Appendf(nil, `{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2])), name, want, "")
			good(t, i.JWS(fmt.Appendf(nil, `{"payload":%q,"signatures":[{"protected":%q,"signature":%q,"header":{"note":1}}]}`, parts[1], parts[0], parts[2])), name, want, "")
			refused(t, i.JWS([]byte(parts[0]+"."+b64(`{"a":2}`)+"."+parts[2])), "does not verify")
			refused(t, i.JWS([]byte(parts[0]+"."+parts[1]+".")), "does not verify")
			i.RequireHybrid = true
			if want == pkix.Classical {
				refused(t, i.JWS([]byte(text)), pkix.ErrNotHybrid.Error())
			} else {
				good(t, i.JWS([]byte(text)), name, want, "")
			}
			i.RequireHybrid = false
		}
	}
}

// asJSON returns a compact JWS in flattened JSON serialization, with more in it.
func asJSON(compact, more string) string {
	parts := strings.Split(compact, ".")
	return fmt.Sprintf(`{%s"payload":%q,"protected":%q,"signature":%q}`, more, parts[1], parts[0], parts[2])
}

// asItIs returns a JWS whose signature is over the payload and not over its base64url,
// as RFC 7797 has it for those who say crit.
func asItIs(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	header, payload := b64(`{"alg":"ES256","b64":false}`), `{"a":1}`
	sum := sha256.Sum256([]byte(header + "." + payload))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	check(t, err)
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return header + "." + b64(payload) + "." + b64(string(sig))
}

// salted returns a JWS by PS256 with a salt of so many octets.
func salted(t *testing.T, key *rsa.PrivateKey, octets int) string {
	t.Helper()
	input := b64(`{"alg":"PS256"}`) + "." + b64("x")
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: octets})
	check(t, err)
	return input + "." + b64(string(sig))
}

// TestInspectJWSDowngrade: a key is used with its own algorithm alone.
func TestInspectJWSDowngrade(t *testing.T) {
	k65, err := pqc.GenerateKey(pqc.MLDSA65)
	check(t, err)
	hybrid, err := pqc.GenerateKey(pqc.MLDSA65Ed25519SHA512)
	check(t, err)
	raw := hybrid.PublicKey().Bytes()
	half, err := pqc.NewPublicKey(pqc.MLDSA65, raw[:pqc.MLDSA65.PublicKeySize()])
	check(t, err)
	private, err := hybrid.Bytes()
	check(t, err)
	half65, err := pqc.NewPrivateKey(pqc.MLDSA65, private[:32])
	check(t, err)
	if !half.Equal(half65.Public()) {
		t.Fatal("the half is not the half")
	}
	ed := ed25519.NewKeyFromSeed(private[32:])
	ec, err := newKey()
	check(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	good(t, jwsInspector(t, strings.Replace(jwkOf(t, rsaKey), "{", `{"alg":"PS256",`, 1)).JWS([]byte(salted(t, rsaKey, 32))), "PS256", pkix.Classical, "")
	k65JWS := signJWS(t, k65, `{"alg":"ML-DSA-65"}`, "x")
	for name, tc := range map[string]struct{ keys, text, want string }{
		"none":            {jwkOf(t, k65), b64(`{"alg":"none"}`) + "." + b64("x") + ".", "a key is used with its own algorithm alone: ML-DSA-65"},
		"HMAC":            {jwkOf(t, k65), b64(`{"alg":"HS256"}`) + "." + b64("x") + "." + b64("x"), "its own algorithm alone"},
		"another level":   {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-44"}`, "x"), "its own algorithm alone"},
		"the ML-DSA half": {jwkOf(t, hybrid), signJWS(t, half65, `{"alg":"ML-DSA-65"}`, "x"), "its own algorithm alone: ML-DSA-65-Ed25519"},
		"half of the signature as a whole": {jwkOf(t, hybrid), signJWS(t, half65, `{"alg":"ML-DSA-65-Ed25519"}`, "x"),
			"the signature of ML-DSA-65-Ed25519 does not verify"},
		"the Ed25519 half":    {jwkOf(t, hybrid), signJWS(t, ed, "", "x"), "its own algorithm alone"},
		"no alg":              {jwkOf(t, k65), signJWS(t, k65, `{}`, "x"), "alg must be a string"},
		"two algs":            {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65","alg":"none"}`, "x"), "comes twice"},
		"crit":                {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65","crit":["b64"],"b64":false}`, "x"), "crit"},
		"another kid":         {strings.Replace(jwkOf(t, k65), "{", `{"kid":"a",`, 1), signJWS(t, k65, `{"alg":"ML-DSA-65","kid":"b"}`, "x"), `has the kid "b"`},
		"padding":             {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65"}`, "x") + "=", "base64url"},
		"a line end":          {jwkOf(t, k65), strings.Replace(signJWS(t, k65, `{"alg":"ML-DSA-65"}`, "x"), ".", "\n.", 1), "base64url"},
		"four parts":          {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65"}`, "x") + ".x", "three parts"},
		"expired":             {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65"}`, `{"exp":1000000000}`), "its exp is 2001-09-09T01:46:40Z"},
		"not yet":             {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65"}`, `{"nbf":99999999999}`), "its nbf is"},
		"an end in words":     {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65"}`, `{"exp":"never"}`), "exp must be a time"},
		"two ends":            {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65"}`, `{"exp":1,"exp":99999999999}`), "comes twice"},
		"two signatures":      {jwkOf(t, k65), `{"payload":"","signatures":[{},{}]}`, "one signature"},
		"alg not protected":   {jwkOf(t, k65), `{"payload":"","protected":"e30","header":{"alg":"ML-DSA-65"},"signature":""}`, "alg must be a string"},
		"alg also outside":    {jwkOf(t, k65), asJSON(k65JWS, `"header":{"alg":"none"},`), `"alg" stands in both headers`},
		"kid also outside":    {jwkOf(t, k65), asJSON(signJWS(t, k65, `{"alg":"ML-DSA-65","kid":"a"}`, "x"), `"header":{"kid":"b"},`), `"kid" stands in both headers`},
		"crit outside":        {jwkOf(t, k65), asJSON(k65JWS, `"header":{"crit":["x"],"x":1},`), "crit and b64 must be protected"},
		"b64 outside":         {jwkOf(t, k65), asJSON(k65JWS, `"header":{"b64":false},`), "crit and b64 must be protected"},
		"a header in words":   {jwkOf(t, k65), asJSON(k65JWS, `"header":"none",`), "header: want one JSON object"},
		"a header that is no": {jwkOf(t, k65), asJSON(k65JWS, `"header":null,`), "header: want one JSON object"},
		"b64 without crit":    {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65","b64":false}`, "x"), "b64"},
		"a payload as it is":  {jwkOf(t, ec), asItIs(t, ec), "b64"},
		"payload null":        {jwkOf(t, k65), strings.Replace(asJSON(signJWS(t, k65, `{"alg":"ML-DSA-65"}`, ""), ""), `"payload":""`, `"payload":null`, 1), "must be strings"},
		"kid null":            {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65","kid":null}`, "x"), "kid must be a string"},
		"alg null":            {jwkOf(t, k65), signJWS(t, k65, `{"alg":null}`, "x"), "alg must be a string"},
		"a beginning of null": {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65"}`, `{"nbf":null}`), "nbf must be a time"},
		"an end without end":  {jwkOf(t, k65), signJWS(t, k65, `{"alg":"ML-DSA-65"}`, `{"exp":1e300}`), "exp must be a time"},
		"a salt too short":    {strings.Replace(jwkOf(t, rsaKey), "{", `{"alg":"PS256",`, 1), salted(t, rsaKey, 20), "does not verify"},
		"PSS for PKCS #1":     {jwkOf(t, rsaKey), salted(t, rsaKey, 32), "its own algorithm alone: RS256"},
		"an unknown one more": {jwkOf(t, k65), `{"payload":"","payload":"","protected":"e30","signature":""}`, "comes twice"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, jwsInspector(t, tc.keys).JWS([]byte(tc.text)), tc.want) })
	}
	refused(t, (&Inspector{Time: time.Now()}).JWS([]byte(signJWS(t, k65, `{"alg":"ML-DSA-65"}`, "x"))), "give the key")
	good(t, jwsInspector(t, strings.Replace(jwkOf(t, k65), "{", `{"kid":"a",`, 1)).JWS([]byte(signJWS(t, k65, `{"alg":"ML-DSA-65","kid":"a"}`, "x"))), "ML-DSA-65", pkix.PostQuantum, "")
}

func TestInspectRefusesKeys(t *testing.T) {
	k, err := pqc.GenerateKey(pqc.MLDSA44)
	check(t, err)
	private, err := k.PrivateJWK()
	check(t, err)
	ec, err := newKey()
	check(t, err)
	ecPrivate, err := gojose.JSONWebKey{Key: ec}.MarshalJSON()
	check(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	check(t, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	check(t, err)
	member := func(m string) string { return strings.Replace(jwkOf(t, ec), "{", "{"+m+",", 1) }
	for name, text := range map[string]string{
		"a private key": string(private), "a private EC key": string(ecPrivate), "a secret": `{"kty":"oct","k":"AAAA"}`, "a small key": jwkOf(t, small),
		"a small key in PEM": spkiPEM(t, small.Public()), "a curve of no use": `{"kty":"EC","crv":"P-224","x":"AA","y":"AA"}`, "a curve of another alg": strings.Replace(jwkOf(t, p521), "{", `{"alg":"ES256",`, 1), "another alg": member(`"alg":"ES384"`), "for encryption": member(`"use":"enc"`),
		"for signing": member(`"key_ops":["sign"]`), "a kid that is a number": member(`"kid":1`), "two kids": member(`"kid":"a","kid":"b"`),
		"an empty set": `{"keys":[]}`, "a set of nothing we know": `{"keys":[{"kty":"new"}]}`, "a set with a secret": `{"keys":[` + jwkOf(t, ec) + `,{"kty":"oct","k":"AAAA"}]}`,
		"a set with a private key": `{"keys":[` + jwkOf(t, ec) + `,` + string(private) + `]}`, "one kid for two": `{"keys":[` + member(`"kid":"a"`) + `,` + member(`"kid":"a"`) + `]}`,
		"no set": `{"keys":{}}`, "two documents": jwkOf(t, ec) + jwkOf(t, ec),
		"a list": "[]", "a private key in PEM": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		i := &Inspector{Time: time.Now()}
		if err := i.AddKeys([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		} else if secret := map[string]string{}; json.Unmarshal(private, &secret) == nil && strings.Contains(err.Error(), secret["priv"]) {
			t.Errorf("%s is shown", name)
		}
	}
}
