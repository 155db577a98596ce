package agents_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// TestCheckKey: what is weak, package keycheck tests.
func TestCheckKey(t *testing.T) {
	if err := agents.CheckKey(rsaKey()); err != nil {
		t.Error(err)
	}
	for what, key := range map[string]any{
		"nothing": nil, "P-224": &newECDSA(t, elliptic.P224()).PublicKey, "a small exponent": &rsa.PublicKey{N: rsaKey().N, E: 3},
	} {
		refused(t, what, agents.CheckKey(key), agents.ErrInvalid)
	}
}

// TestCompromisedKeyIsNotRegistered: it would authenticate as well as a certificate.
func TestCompromisedKeyIsNotRegistered(t *testing.T) {
	within(t, func(tx storage.Tx) {
		text := publicPEM(t, &newECDSA(t, elliptic.P256()).PublicKey)
		add(t, tx, "bot", agents.Change{Keys: []string{text}})
		a := get(t, tx, "bot")
		if err := agents.RememberKey(tx, "other", sha256.Sum256(a.Keys[0]), now); err != nil {
			t.Fatal(err)
		}
		_, err := agents.Set(tx, td, "bot", agents.Change{Keys: []string{text}}, now)
		refused(t, "registered again", err, agents.ErrKeyCompromised)
		if _, err := agents.Set(tx, td, "bot", agents.Change{Purpose: new("else")}, now); err != nil {
			t.Errorf("another change: %v", err)
		}
	})
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaKey is one for the whole run: they take long to make.
var rsaKey = sync.OnceValue(func() *rsa.PublicKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return &key.PublicKey
})

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// notPublicKeys returns texts that are refused, by what is wrong with them.
func notPublicKeys(t testing.TB) map[string]string {
	good := publicPEM(t, &newECDSA(t, elliptic.P256()).PublicKey)
	block, _ := pem.Decode([]byte(good))
	as := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	private, err := x509.MarshalPKCS8PrivateKey(newECDSA(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	offCurve := append([]byte{}, block.Bytes...)
	offCurve[len(offCurve)-1] ^= 1
	return map[string]string{
		"empty":              "",
		"not PEM":            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
		"a private key":      as("PRIVATE KEY", private),
		"private inside":     as("PUBLIC KEY", private),
		"a certificate":      as("CERTIFICATE", block.Bytes),
		"PKCS #1":            as("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(rsaKey())),
		"two keys":           good + good,
		"an octet after it":  as("PUBLIC KEY", append(append([]byte{}, block.Bytes...), 0)),
		"cut off":            as("PUBLIC KEY", block.Bytes[:len(block.Bytes)-1]),
		"no octets":          as("PUBLIC KEY", nil),
		"not on the curve":   as("PUBLIC KEY", offCurve),
		"a curve not wanted": publicPEM(t, &newECDSA(t, elliptic.P224()).PublicKey),
		"cut off in PEM":     good[:len(good)/2],
		"NUL octets":         strings.Repeat("\x00", 100),
	}
}

func TestParsePublicKey(t *testing.T) {
	good := publicPEM(t, &newECDSA(t, elliptic.P256()).PublicKey)
	block, _ := pem.Decode([]byte(good))
	for what, text := range map[string]string{"alone": good, "with text before it": "the key of the bot:\n" + good, "with spaces after it": good + " \n\n"} {
		if key, err := agents.ParsePublicKey([]byte(text)); err != nil || string(key) != string(block.Bytes) {
			t.Errorf("%s: %x, %v", what, key, err)
		}
	}
	for what, text := range notPublicKeys(t) {
		_, err := agents.ParsePublicKey([]byte(text))
		refused(t, what, err, agents.ErrInvalid)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	for _, text := range notPublicKeys(f) {
		f.Add([]byte(text))
	}
	f.Add([]byte(publicPEM(f, &newECDSA(f, elliptic.P256()).PublicKey)))
	f.Add([]byte(publicPEM(f, rsaKey())))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := agents.ParsePublicKey(text)
		if err != nil {
			return
		}
		again, err := agents.ParsePublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))
		if err != nil || string(again) != string(key) {
			t.Errorf("%x printed and parsed is %x, %v", key, again, err)
		}
		public, err := x509.ParsePKIXPublicKey(key)
		if err != nil || agents.CheckKey(public) != nil {
			t.Errorf("what was accepted is no good key: %v", err)
		}
	})
}
