package pqc

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"sync"
	"testing"
)

var message = []byte("a certificate to be signed")

func TestSignVerify(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		k := testKey(t, alg)
		for _, context := range [][]byte{nil, {}, {1}, bytes.Repeat([]byte{7}, 255)} {
			sig, err := k.Sign(nil, message, &Options{Context: context})
			if err != nil {
				t.Fatal(err)
			}
			if len(sig) > alg.SignatureSize() {
				t.Errorf("a signature of %d octets, at most %d are promised", len(sig), alg.SignatureSize())
			}
			if !k.PublicKey().VerifyWithOptions(message, sig, &Options{Context: context}) {
				t.Error("our own signature is refused")
			}
			if got := k.PublicKey().Verify(message, sig); got != (len(context) == 0) {
				t.Errorf("without the context of %d octets: %v", len(context), got)
			}
		}
		if a, b := sign(t, k, message), sign(t, k, message); bytes.Equal(a[:1000], b[:1000]) {
			t.Error("two ML-DSA signatures are the same: they are not hedged")
		}
	})
}

func TestSignRefusesOptionsOfOthers(t *testing.T) {
	for _, alg := range []Algorithm{MLDSA65, MLDSA65ECDSAP256SHA512} {
		k := testKey(t, alg)
		for _, opts := range []crypto.SignerOpts{
			crypto.SHA256, &rsa.PSSOptions{}, &ed25519.Options{Context: "x"}, &Options{Context: make([]byte, 256)},
		} {
			if _, err := k.Sign(nil, message, opts); err == nil {
				t.Errorf("%v: signed with %T", alg, opts)
			}
		}
		if k.PublicKey().VerifyWithOptions(message, sign(t, k, message), &Options{Context: make([]byte, 256)}) {
			t.Errorf("%v: verified with a context too long", alg)
		}
		for _, opts := range []crypto.SignerOpts{nil, crypto.Hash(0), (*Options)(nil), &Options{}} {
			sig, err := k.Sign(nil, message, opts)
			if err != nil || !k.PublicKey().VerifyWithOptions(message, sig, nil) {
				t.Errorf("%v: refused to sign with %v (%v)", alg, opts, err)
			}
		}
	}
}

// TestHalves: nothing less than both halves of one signature is a signature.
func TestHalves(t *testing.T) {
	eachComposite(t, func(t *testing.T, alg Algorithm) {
		k, n := testKey(t, alg), alg.row().mldsa.signatureSize
		a, b := sign(t, k, message), sign(t, k, []byte("another"))
		for name, sig := range map[string][]byte{
			"nothing":                           nil,
			"the ML-DSA half":                   a[:n],
			"the traditional half":              a[n:],
			"zeros for ML-DSA":                  slices.Concat(make([]byte, n), a[n:]),
			"zeros for the traditional":         slices.Concat(a[:n], make([]byte, len(a)-n)),
			"halves of two signatures":          slices.Concat(a[:n], b[n:]),
			"halves of two signatures, swapped": slices.Concat(b[:n], a[n:]),
			"halves in the other order":         slices.Concat(a[n:], a[:n]),
			"one octet more":                    append(slices.Clone(a), 0),
			"one octet less":                    a[:len(a)-1],
			"twice":                             slices.Concat(a, a),
		} {
			if k.PublicKey().Verify(message, sig) {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

// TestHalvesOfTwoKeys: a forger who has one component key does not get far.
func TestHalvesOfTwoKeys(t *testing.T) {
	eachComposite(t, func(t *testing.T, alg Algorithm) {
		k, n := testKey(t, alg), alg.row().mldsa.signatureSize
		forger, err := NewPrivateKey(alg, withSeed(t, k, 1))
		if err != nil {
			t.Fatal(err)
		}
		// Its traditional key is the right one, its ML-DSA key is not.
		sig := sign(t, forger, message)
		if k.PublicKey().Verify(message, sig) {
			t.Error("a signature by another ML-DSA key is accepted")
		}
		if mixed := slices.Concat(sign(t, k, message)[:n], sig[n:]); !k.PublicKey().Verify(message, mixed) {
			t.Error("the halves of one key over one message must combine: this test would prove nothing")
		}
	})
}

func withSeed(t *testing.T, k *PrivateKey, b byte) []byte {
	t.Helper()
	raw, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Repeat([]byte{b}, seedSize), raw[seedSize:]...)
}

// TestComponentKeyAlone: what a component signs on its own does not serve as
// a half, and a half is not a signature of the component.
func TestComponentKeyAlone(t *testing.T) {
	eachComposite(t, func(t *testing.T, alg Algorithm) {
		k, r := testKey(t, alg), alg.row()
		n := r.mldsa.signatureSize
		good := sign(t, k, message)
		pure, err := NewPrivateKey(pureOf(r.mldsa), k.seed[:])
		if err != nil {
			t.Fatal(err)
		}
		trad, err := k.trad.sign(message)
		if err != nil {
			t.Fatal(err)
		}
		alone := sign(t, pure, message)
		for name, sig := range map[string][]byte{
			"ML-DSA alone":         alone,
			"traditional alone":    trad,
			"both, each over M":    slices.Concat(alone, trad),
			"ML-DSA over M":        slices.Concat(alone, good[n:]),
			"traditional over M":   slices.Concat(good[:n], trad),
			"ML-DSA without label": slices.Concat(sign(t, pure, r.representative(message, nil)), good[n:]),
		} {
			if k.PublicKey().Verify(message, sig) {
				t.Errorf("%s: accepted by the composite", name)
			}
		}
		m := r.representative(message, nil)
		if pure.PublicKey().Verify(message, good[:n]) || pure.PublicKey().Verify(m, good[:n]) {
			t.Error("the ML-DSA half is accepted by the component")
		}
		if k.trad.public().verify(message, good[n:]) {
			t.Error("the traditional half is accepted by the component as signed for M")
		}
	})
}

// TestOtherCompositeOverSameKeys: each composite binds its own name.
func TestOtherCompositeOverSameKeys(t *testing.T) {
	pairs := 0
	eachComposite(t, func(t *testing.T, alg Algorithm) {
		raw, err := testKey(t, alg).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		sig := sign(t, testKey(t, alg), message)
		for _, other := range Algorithms() {
			if other == alg || !other.Composite() {
				continue
			}
			k, err := NewPrivateKey(other, raw)
			if err != nil {
				continue // keys of another shape
			}
			pairs++
			if k.PublicKey().Verify(message, sig) {
				t.Errorf("a signature of %v is accepted for %v", alg, other)
			}
			// The half that another ML-DSA level does not spoil must be bound, too.
			m, o := alg.row().representative(message, nil), other.row().representative(message, nil)
			if bytes.Equal(m, o) {
				t.Errorf("%v and %v sign the same", alg, other)
			}
		}
	})
	if pairs < 20 {
		t.Errorf("only %d pairs of algorithms share keys", pairs)
	}
}

func TestSmallChangesAreRefused(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		k := testKey(t, alg)
		sig := sign(t, k, message)
		for i := 0; i < len(sig); i += 1 + len(sig)/60 {
			bad := slices.Clone(sig)
			bad[i] ^= 1 << (i % 8)
			if k.PublicKey().Verify(message, bad) {
				t.Errorf("bit %d of octet %d changed: accepted", i%8, i)
			}
		}
		for i := range message {
			bad := slices.Clone(message)
			bad[i] ^= 1
			if k.PublicKey().Verify(bad, sig) {
				t.Errorf("octet %d of the message changed: accepted", i)
			}
		}
	})
}

func eachComposite(t *testing.T, f func(t *testing.T, alg Algorithm)) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		if alg.Composite() {
			f(t, alg)
		}
	})
}

// TestKeysAreSharedByGoroutines is for the race detector.
func TestKeysAreSharedByGoroutines(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		k := testKey(t, alg)
		var g sync.WaitGroup
		for range 4 {
			g.Go(func() {
				sig, err := k.Sign(nil, message, nil)
				if err != nil || !k.PublicKey().Verify(message, sig) {
					t.Errorf("refused (%v)", err)
				}
			})
		}
		g.Wait()
	})
}

// TestPSSSaltIsOfOneLength: RSASSA-PSS parameters are those of the algorithm (the
// draft, section 6.1), not what the signer chose.
func TestPSSSaltIsOfOneLength(t *testing.T) {
	for _, alg := range []Algorithm{MLDSA44RSA2048PSSSHA256, MLDSA65RSA3072PSSSHA512, MLDSA65RSA4096PSSSHA512} {
		k, r := testKey(t, alg), alg.row()
		s, key := r.trad.(rsaScheme), k.trad.(*rsaPrivate).k
		m := r.representative(message, nil)
		half := sign(t, k, message)[:r.mldsa.signatureSize]
		for salt, want := range map[int]bool{s.hash.Size(): true, 20: false, s.hash.Size() + 1: false} {
			trad, err := rsa.SignPSS(rand.Reader, key, s.hash, digest(s.hash, m), &rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			if got := k.PublicKey().Verify(message, slices.Concat(half, trad)); got != want {
				t.Errorf("%v, salt of %d octets: got %v, want %v", alg, salt, got, want)
			}
		}
	}
}
