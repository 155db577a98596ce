package pqc

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"
)

type wycheproof struct {
	Algorithm  string
	TestGroups []struct {
		PublicKey, PublicKeyDer      string
		PrivateSeed, PrivateKeyPkcs8 string
		PrivateKey                   string
		Tests                        []wycheproofTest
	}
}

type wycheproofTest struct {
	TcID               int
	Comment, Result    string
	Msg, Ctx, Sig, Rnd string
	Flags              []string
}

func (c *wycheproofTest) has(flag string) bool { return slices.Contains(c.Flags, flag) }

func TestWycheproofVerify(t *testing.T) {
	set, files := vectors(t, "wycheproof verify", "wycheproof/mldsa_*_verify_test.json")
	for _, file := range files {
		f := readJSON[wycheproof](t, file)
		alg := mustAlgorithm(t, f.Algorithm)
		for _, g := range f.TestGroups {
			pub, err := NewPublicKey(alg, fromHex(t, g.PublicKey))
			if err == nil {
				testDER(t, pub, fromHex(t, g.PublicKeyDer))
			}
			for _, c := range g.Tests {
				set.ran++
				if c.has("IncorrectPublicKeyLength") != (err != nil) {
					t.Errorf("%v case %d: reading the key: %v", alg, c.TcID, err)
				}
				got := err == nil && pub.VerifyWithOptions(fromHex(t, c.Msg), fromHex(t, c.Sig), &Options{Context: fromHex(t, c.Ctx)})
				if got != (c.Result == "valid") {
					t.Errorf("%v case %d (%s): got %v, want %s", alg, c.TcID, c.Comment, got, c.Result)
				}
			}
		}
	}
}

func testDER(t *testing.T, pub *PublicKey, der []byte) {
	t.Helper()
	k, err := ParsePKIXPublicKey(der)
	if err != nil || !k.Equal(pub) || !bytes.Equal(MarshalPKIXPublicKey(pub), der) {
		t.Errorf("%v: SubjectPublicKeyInfo reads and writes differently (%v)", pub.Algorithm(), err)
	}
}

// TestWycheproofSignSeed compares signatures with and without randomness. The
// public Sign always draws it, so what lies beneath is called, save for refusals.
func TestWycheproofSignSeed(t *testing.T) {
	set, files := vectors(t, "wycheproof sign from a seed", "wycheproof/mldsa_*_sign_seed_test.json")
	for _, file := range files {
		f := readJSON[wycheproof](t, file)
		alg := mustAlgorithm(t, f.Algorithm)
		for _, g := range f.TestGroups {
			k, err := NewPrivateKey(alg, fromHex(t, g.PrivateSeed))
			if err == nil && g.PrivateKeyPkcs8 != "" {
				if der, err := MarshalPKCS8PrivateKey(k); err != nil || !bytes.Equal(der, fromHex(t, g.PrivateKeyPkcs8)) {
					t.Errorf("%v: PKCS #8 differs (%v)", alg, err)
				}
			}
			if err == nil && !bytes.Equal(k.PublicKey().Bytes(), fromHex(t, g.PublicKey)) {
				t.Errorf("%v: the seed has another public key", alg)
			}
			for _, c := range g.Tests {
				if c.has("IncorrectPrivateKeyLength") != (err != nil) {
					t.Errorf("%v case %d: reading the key: %v", alg, c.TcID, err)
				}
				if c.has("Internal") {
					continue // has mu alone
				}
				set.ran++
				if err == nil {
					testSign(t, k, &c)
				}
			}
		}
	}
}

func testSign(t *testing.T, k *PrivateKey, c *wycheproofTest) {
	t.Helper()
	alg, msg, context := k.Algorithm(), fromHex(t, c.Msg), fromHex(t, c.Ctx)
	if c.Result != "valid" {
		if _, err := k.Sign(nil, msg, &Options{Context: context}); err == nil {
			t.Errorf("%v case %d (%s): signed", alg, c.TcID, c.Comment)
		}
		return
	}
	sig, err := signWith(k, msg, context, fromHex(t, c.Rnd))
	if err != nil || !bytes.Equal(sig, fromHex(t, c.Sig)) {
		t.Errorf("%v case %d (%s): another signature (%v)", alg, c.TcID, c.Comment, err)
	}
}

// signWith makes the ML-DSA signature with this randomness, or with none.
func signWith(k *PrivateKey, msg, context, rnd []byte) ([]byte, error) {
	if len(rnd) > 0 {
		defer func(r any) { rand.Reader = r.(interface{ Read([]byte) (int, error) }) }(rand.Reader)
		rand.Reader = bytes.NewReader(rnd)
	}
	return k.mldsa.sign(msg, context, len(rnd) > 0)
}

// TestWycheproofExpanded: expanded keys are refused in PKCS #8; what others signed
// with them verifies.
func TestWycheproofExpanded(t *testing.T) {
	set, files := vectors(t, "wycheproof sign from an expanded key", "wycheproof/mldsa_*_sign_noseed_test.json")
	for _, file := range files {
		f := readJSON[wycheproof](t, file)
		alg := mustAlgorithm(t, f.Algorithm)
		for _, g := range f.TestGroups {
			if _, err := NewPrivateKey(alg, fromHex(t, g.PrivateKey)); err == nil {
				t.Errorf("%v: an expanded key is read as a seed", alg)
			}
			if _, err := ParsePKCS8PrivateKey(pkcs8(alg, octetString(fromHex(t, g.PrivateKey)))); err == nil {
				t.Errorf("%v: an expanded key is read", alg)
			}
			for _, c := range g.Tests {
				if c.has("Internal") {
					continue
				}
				set.ran++
				if c.Result != "valid" {
					continue // about signing with a key that is not even read
				}
				pub, err := NewPublicKey(alg, fromHex(t, g.PublicKey))
				if err != nil || !pub.VerifyWithOptions(fromHex(t, c.Msg), fromHex(t, c.Sig), &Options{Context: fromHex(t, c.Ctx)}) {
					t.Errorf("%v case %d (%s): refused (%v)", alg, c.TcID, c.Comment, err)
				}
			}
		}
	}
}
