package pqc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// TestWycheproofJSONWeb: the keys are classical, so none of them, alone or in its
// set, is a key of ours, and no JWS verifies under a key of ours, whatever alg says.
func TestWycheproofJSONWeb(t *testing.T) {
	type file struct {
		TestGroups []struct {
			Private, Public json.RawMessage
			Tests           []struct{ JWS json.RawMessage }
		}
	}
	set, files := vectors(t, "wycheproof json_web", jsonWebFiles)
	ours := testKey(t, MLDSA65Ed25519SHA512).PublicKey()
	for _, name := range files {
		for _, g := range readJSON[file](t, name).TestGroups {
			for _, b := range append(keysIn(t, g.Private), keysIn(t, g.Public)...) {
				set.ran++
				if _, err := ParseJWK(b); err == nil {
					t.Errorf("read as a public key: %.200s", b)
				}
				if _, err := ParsePrivateJWK(b); err == nil {
					t.Errorf("read as a private key: %.200s", b)
				}
			}
			for _, c := range g.Tests {
				if c.JWS == nil {
					set.passOver(1, "no JWS")
					continue
				}
				set.ran++
				var compact string // or a JWS in JSON, which package client reads
				if json.Unmarshal(c.JWS, &compact) == nil && verifyCompact(ours, compact) {
					t.Errorf("verified: %.200s", c.JWS)
				}
			}
		}
	}
}

// keysIn returns a JWK, or a set and the keys in it.
func keysIn(t *testing.T, b []byte) [][]byte {
	t.Helper()
	var set struct{ Keys []json.RawMessage }
	if len(b) == 0 || json.Unmarshal(b, &set) != nil {
		return nil
	}
	out := [][]byte{b}
	for _, k := range set.Keys {
		out = append(out, k)
	}
	return out
}

func verifyCompact(k *PublicKey, s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return false
	}
	header, err1 := strict.Base64(parts[0])
	sig, err2 := strict.Base64(parts[2])
	var h struct{ Alg string }
	if errors.Join(err1, err2, json.Unmarshal(header, &h)) != nil {
		return false
	}
	return k.VerifyJWS(h.Alg, []byte(parts[0]+"."+parts[1]), sig) || k.VerifyJWS(k.Algorithm().JOSE(), []byte(parts[0]+"."+parts[1]), sig)
}

func TestJWKReadsAndWritesTheSame(t *testing.T) {
	for _, alg := range Algorithms() {
		k := testKey(t, alg)
		pub, err := k.PublicKey().JWK()
		if (err == nil) != (alg.JOSE() != "") {
			t.Errorf("%v: %v", alg, err)
		}
		if err != nil {
			if _, err := k.PublicKey().Thumbprint(); err == nil {
				t.Errorf("%v has a thumbprint", alg)
			}
			continue
		}
		if got, err := ParseJWK(pub); err != nil || !got.Equal(k.PublicKey()) {
			t.Errorf("%v: the public key reads differently (%v)", alg, err)
		}
		priv, err := k.PrivateJWK()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParsePrivateJWK(priv); err != nil || !got.Equal(k) {
			t.Errorf("%v: the private key reads differently (%v)", alg, err)
		}
		if _, err := ParsePrivateJWK(pub); err == nil {
			t.Errorf("%v: a public key is read as a private one", alg)
		}
	}
}

func TestJWKRefusals(t *testing.T) {
	k := testKey(t, MLDSA44)
	raw, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	pub, priv := strict.ToBase64(k.PublicKey().Bytes()), strict.ToBase64(raw)
	jwk := func(format string, args ...any) string { return "{" + fmt.Sprintf(format, args...) + "}" }
	good := jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv)
	for _, s := range []string{
		good,
		jwk(`"pub":"%s","alg":"ML-DSA-44","kty":"AKP","priv":"%s","use":"sig","key_ops":["verify","sign"],"kid":"1","x":{"a":[1,null]}`, pub, priv),
		" \n" + good + "\n",
	} {
		if got, err := ParsePrivateJWK([]byte(s)); err != nil || !got.Equal(k) {
			t.Errorf("%.60s: %v", s, err)
		}
	}
	other := strict.ToBase64(testKey(t, MLDSA44Ed25519SHA512).PublicKey().Bytes()[:1312])
	for name, s := range map[string]string{
		"empty":                 "",
		"null":                  "null",
		"an array":              "[" + good + "]",
		"cut off":               good[:len(good)-1],
		"two objects":           good + good,
		"garbage after":         good + "x",
		"no alg":                jwk(`"kty":"AKP","pub":"%s","priv":"%s"`, pub, priv),
		"no kty":                jwk(`"alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv),
		"no pub":                jwk(`"kty":"AKP","alg":"ML-DSA-44","priv":"%s"`, priv),
		"kty OKP":               jwk(`"kty":"OKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv),
		"kty in lower case":     jwk(`"kty":"akp","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv),
		"name in upper case":    jwk(`"kty":"AKP","ALG":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv),
		"alg none":              jwk(`"kty":"AKP","alg":"none","pub":"%s","priv":"%s"`, pub, priv),
		"alg empty":             jwk(`"kty":"AKP","alg":"","pub":"%s","priv":"%s"`, pub, priv),
		"alg null":              jwk(`"kty":"AKP","alg":null,"pub":"%s","priv":"%s"`, pub, priv),
		"alg of another level":  jwk(`"kty":"AKP","alg":"ML-DSA-65","pub":"%s","priv":"%s"`, pub, priv),
		"alg not offered":       jwk(`"kty":"AKP","alg":"ML-DSA-44-ES256","pub":"%s","priv":"%s"`, pub, priv),
		"alg of the flag":       jwk(`"kty":"AKP","alg":"mldsa44","pub":"%s","priv":"%s"`, pub, priv),
		"alg twice":             jwk(`"kty":"AKP","alg":"ML-DSA-65","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv),
		"an ignored name twice": jwk(`"kty":"AKP","x":1,"x":2,"alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv),
		"padding":               jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s="`, pub, priv),
		"a line break":          jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s\n"`, pub, priv),
		"other base64":          jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, strings.NewReplacer("-", "+", "_", "/").Replace(pub), priv),
		"loose bits":            jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv[:42]+loose(priv[42])),
		"priv too short":        jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, priv[:40]),
		"priv expanded":         jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub, strict.ToBase64(expanded(t, k))),
		"priv null":             jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":null`, pub),
		"pub of another":        jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, other, priv),
		"pub too short":         jwk(`"kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, pub[:len(pub)-4], priv),
		"use enc":               jwk(`"kty":"AKP","alg":"ML-DSA-44","use":"enc","pub":"%s","priv":"%s"`, pub, priv),
		"key_ops verify":        jwk(`"kty":"AKP","alg":"ML-DSA-44","key_ops":["verify"],"pub":"%s","priv":"%s"`, pub, priv),
		"key_ops a string":      jwk(`"kty":"AKP","alg":"ML-DSA-44","key_ops":"sign","pub":"%s","priv":"%s"`, pub, priv),
		"too long":              jwk(`"x":"%s","kty":"AKP","alg":"ML-DSA-44","pub":"%s","priv":"%s"`, strings.Repeat("x", maxJWK), pub, priv),
	} {
		if _, err := ParsePrivateJWK([]byte(s)); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), priv[:20]) {
			t.Errorf("%s: the error shows the private key", name)
		}
		if _, err := ParseJWK([]byte(s)); err == nil {
			t.Errorf("%s: accepted as a public key", name)
		}
	}
}

// loose returns the base64url digit that differs from c in a bit which the octets
// do not use.
func loose(c byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(digits[strings.IndexByte(digits, c)|1])
}
