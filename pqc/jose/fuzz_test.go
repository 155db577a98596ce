package jose_test

import (
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"reflect"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// FuzzParseCompact: what is accepted under a key is what the key has signed, the
// text can be put together again from its parts, and go-jose accepts it, too, if
// the algorithm is classical.
func FuzzParseCompact(f *testing.F) {
	ed := ed25519.NewKeyFromSeed(make([]byte, 32)) // all processes of the fuzzer must have the same keys
	pq, err := pqc.NewPrivateKey(pqc.MLDSA44, make([]byte, 32))
	check(f, err)
	signed := map[string]bool{}
	for _, key := range []crypto.Signer{ed, pq} {
		s, err := jose.NewSigner(key, "1", "JWT")
		check(f, err)
		text, err := s.Sign([]byte(`{"iss":"bot"}`))
		check(f, err)
		parsed, err := jose.ParseCompact(text)
		check(f, err)
		signed[string(parsed.Input)] = true
		f.Add(text)
		f.Add(text + "=")
		f.Add(text + "\n")
	}
	for _, header := range []string{`{"alg":"EdDSA","b64":false}`, `{"alg":"EdDSA","crit":["b64"]}`, `{"alg":"none"}`, `{"ALG":"EdDSA"}`, `{}`} {
		input := strict.ToBase64([]byte(header)) + ".e30"
		f.Add(input + "." + strict.ToBase64(ed25519.Sign(ed, []byte(input))))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := jose.ParseCompact(text)
		if err != nil {
			return
		}
		if again := string(s.Input) + "." + strict.ToBase64(s.Signature); again != text {
			t.Errorf("%q is put together as %q", text, again)
		}
		byEd, byPQ := s.Verify(ed.Public()), s.Verify(pq.Public())
		if (byEd || byPQ) && !signed[string(s.Input)] {
			t.Errorf("accepted: %q", text)
		}
		if !byEd {
			return
		}
		theirs, err := gojose.ParseSignedCompact(text, []gojose.SignatureAlgorithm{gojose.EdDSA})
		if err != nil {
			t.Skip(err) // it reads members of the header that mean nothing here, such as jwk
		}
		if _, err := theirs.Verify(ed.Public()); err != nil {
			t.Errorf("go-jose refuses %q: %v", text, err)
		}
	})
}

// FuzzParseKey: a key that is accepted reads the same when it was printed, and
// go-jose reads the same key from the text if it is classical.
func FuzzParseKey(f *testing.F) {
	for _, key := range testKeys(f) {
		text, err := json.Marshal(jose.Key{ID: "1", Public: key.Public()})
		check(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"kty":"RSA","e":"AQAB","n":"AQ","alg":"PS256"}`))
	f.Add([]byte(`{"kty":"OKP","crv":"Ed25519","x":"` + strict.ToBase64(make([]byte, 32)) + `","use":"sig","key_ops":["verify"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := jose.ParseKey(text)
		if err != nil {
			return
		}
		printed, err := json.Marshal(k)
		check(t, err)
		again, err := jose.ParseKey(printed)
		public := k.Public.(interface{ Equal(crypto.PublicKey) bool })
		if err != nil || again.ID != k.ID || again.Algorithm != k.Algorithm || !public.Equal(again.Public) {
			t.Fatalf("%q is printed as %q, which reads as %+v, %v", text, printed, again, err)
		}
		if _, ok := k.Public.(*pqc.PublicKey); ok {
			return
		}
		var theirs gojose.JSONWebKey
		if err := theirs.UnmarshalJSON(text); err != nil {
			t.Skip(err) // it reads x5c and more
		}
		if !theirs.IsPublic() || !public.Equal(theirs.Key) {
			t.Errorf("go-jose reads another key in %q: %v", text, theirs.Key)
		}
	})
}

// FuzzParseClaims: claims that are accepted read the same when they were printed.
func FuzzParseClaims(f *testing.F) {
	for _, text := range []string{`{"iss":"a","sub":"b","aud":"c","exp":1,"nbf":2.5,"iat":3,"jti":"d"}`, `{"aud":["a","b"],"exp":1e9}`, `{"aud":[],"exp":0}`, `{"exp":null}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := jose.ParseClaims(text)
		if err != nil {
			return
		}
		printed, err := json.Marshal(c)
		check(t, err)
		again, err := jose.ParseClaims(printed)
		check(t, err)
		c.Audience, c.Members, again.Members = append([]string(nil), c.Audience...), nil, nil // none is nil
		if !reflect.DeepEqual(again, c) {
			t.Errorf("%q is printed as %s, which reads as %+v, want %+v", text, printed, again, c)
		}
	})
}
