package pqc

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"
)

type wycheproof struct {
	Algorithm  string
	TestGroups []wycheproofGroup
}

type wycheproofGroup struct {
	PublicKey, PublicKeyDer      string
	PrivateSeed, PrivateKeyPkcs8 string
	PrivateKey                   string
	Tests                        []wycheproofTest
}

type wycheproofTest struct {
	TcID            int
	Comment, Result string
	Msg             *string // nil if there is only mu
	Ctx, Sig, Rnd   string
	Flags           []string
}

func (c *wycheproofTest) has(flag string) bool { return slices.Contains(c.Flags, flag) }

// internal tells the cases that have only mu (FIPS 204, algorithm 7): package pqc
// takes messages and no hashes of them.
func (c *wycheproofTest) internal() bool { return c.has("Internal") || c.Msg == nil }

const hasMu = "it has mu and no message"

// each runs check on every group of the files for an algorithm of ours.
func (s *vectorSet) each(t *testing.T, files []string, check func(*testing.T, Algorithm, *wycheproofGroup)) {
	for _, file := range files {
		f := readJSON[wycheproof](t, file)
		for _, g := range f.TestGroups {
			if alg, ok := s.algorithm(t, f.Algorithm, len(g.Tests)); ok {
				check(t, alg, &g)
			}
		}
	}
}

// judge compares what was accepted with a verdict, which may leave it open.
func (c *wycheproofTest) judge(t *testing.T, alg Algorithm, accepted bool) {
	t.Helper()
	if c.Result != "acceptable" && accepted != (c.Result == "valid") {
		t.Errorf("%v case %d (%s): accepted %v, want %s", alg, c.TcID, c.Comment, accepted, c.Result)
	}
}

func TestWycheproofVerify(t *testing.T) {
	set, files := vectors(t, "wycheproof verify", verifyFiles)
	set.each(t, files, func(t *testing.T, alg Algorithm, g *wycheproofGroup) {
		pub, err := NewPublicKey(alg, fromHex(t, g.PublicKey))
		if err == nil && g.PublicKeyDer != "" {
			testDER(t, pub, fromHex(t, g.PublicKeyDer))
		}
		for _, c := range g.Tests {
			if c.internal() {
				set.passOver(1, hasMu)
				continue
			}
			set.ran++
			if c.has("IncorrectPublicKeyLength") && err == nil {
				t.Errorf("%v case %d: the key is read", alg, c.TcID)
			}
			c.judge(t, alg, err == nil && pub.VerifyWithOptions(fromHex(t, *c.Msg), fromHex(t, c.Sig), &Options{Context: fromHex(t, c.Ctx)}))
		}
	})
}

func testDER(t *testing.T, pub *PublicKey, der []byte) {
	t.Helper()
	k, err := ParsePKIXPublicKey(der)
	if err != nil || !k.Equal(pub) || !bytes.Equal(MarshalPKIXPublicKey(pub), der) {
		t.Errorf("%v: SubjectPublicKeyInfo reads and writes differently (%v)", pub.Algorithm(), err)
	}
}

// TestWycheproofSignSeed compares signatures with and without randomness. The
// public Sign always draws it, so the test calls the function below it, except for
// refusals.
func TestWycheproofSignSeed(t *testing.T) {
	set, files := vectors(t, "wycheproof sign from a seed", signSeedFiles)
	set.each(t, files, func(t *testing.T, alg Algorithm, g *wycheproofGroup) {
		k, err := NewPrivateKey(alg, fromHex(t, g.PrivateSeed))
		if err == nil {
			testSeedGroup(t, k, g)
		}
		for _, c := range g.Tests {
			if c.has("IncorrectPrivateKeyLength") && err == nil {
				t.Errorf("%v case %d: the key is read", alg, c.TcID)
			}
			if c.internal() {
				set.passOver(1, hasMu)
				continue
			}
			set.ran++
			if err == nil {
				testSign(t, k, &c)
			} else {
				c.judge(t, alg, false)
			}
		}
	})
}

func testSeedGroup(t *testing.T, k *PrivateKey, g *wycheproofGroup) {
	t.Helper()
	if g.PrivateKeyPkcs8 != "" {
		if der, err := MarshalPKCS8PrivateKey(k); err != nil || !bytes.Equal(der, fromHex(t, g.PrivateKeyPkcs8)) {
			t.Errorf("%v: PKCS #8 differs (%v)", k.Algorithm(), err)
		}
	}
	if g.PublicKey != "" && !bytes.Equal(k.PublicKey().Bytes(), fromHex(t, g.PublicKey)) {
		t.Errorf("%v: the seed has another public key", k.Algorithm())
	}
}

func testSign(t *testing.T, k *PrivateKey, c *wycheproofTest) {
	t.Helper()
	alg, msg, context := k.Algorithm(), fromHex(t, *c.Msg), fromHex(t, c.Ctx)
	if c.Result == "invalid" {
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

// TestWycheproofExpanded: expanded keys are refused, in PKCS #8 and by themselves.
// Signatures that others made with them verify.
func TestWycheproofExpanded(t *testing.T) {
	set, files := vectors(t, "wycheproof sign from an expanded key", signNoSeedFiles)
	set.each(t, files, func(t *testing.T, alg Algorithm, g *wycheproofGroup) {
		key := fromHex(t, g.PrivateKey)
		for form, der := range map[string][]byte{
			"expandedKey": pkcs8(alg, octetString(key)), "a seed": pkcs8(alg, der(seedTag, key)), "as given": fromHex(t, g.PrivateKeyPkcs8),
		} {
			if _, err := ParsePKCS8PrivateKey(der); err == nil {
				t.Errorf("%v: an expanded key is read as %s", alg, form)
			}
		}
		if _, err := NewPrivateKey(alg, key); err == nil {
			t.Errorf("%v: an expanded key is read as a raw seed", alg)
		}
		for _, c := range g.Tests {
			if c.internal() {
				set.passOver(1, hasMu+"; its key is refused")
				continue
			}
			set.ran++
			if c.Result != "valid" {
				continue // about signing with the key, which is not even read
			}
			pub, err := NewPublicKey(alg, fromHex(t, g.PublicKey))
			c.judge(t, alg, err == nil && pub.VerifyWithOptions(fromHex(t, *c.Msg), fromHex(t, c.Sig), &Options{Context: fromHex(t, c.Ctx)}))
		}
	})
}
