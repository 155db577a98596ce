package pqc

import (
	"bytes"
	"slices"
	"testing"
)

// fuzzed are algorithms with every kind of half and keys that are quick to make.
var fuzzed = []Algorithm{MLDSA44, MLDSA44Ed25519SHA512, MLDSA44ECDSAP256SHA256, MLDSA44RSA2048PSSSHA256, MLDSA44RSA2048PKCS15SHA256, MLDSA87Ed448SHAKE256}

// FuzzPublicKey: what is read as a SubjectPublicKeyInfo is written byte for byte
// the same, as it has one encoding.
func FuzzPublicKey(f *testing.F) {
	for _, alg := range fuzzed {
		f.Add(MarshalPKIXPublicKey(testKey(f, alg).PublicKey()))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := ParsePKIXPublicKey(der)
		if err != nil {
			return
		}
		if again := MarshalPKIXPublicKey(k); !bytes.Equal(again, der) {
			t.Fatalf("read %x, wrote %x", der, again)
		}
		if raw, err := NewPublicKey(k.Algorithm(), k.Bytes()); err != nil || !raw.Equal(k) {
			t.Fatalf("the raw key reads differently (%v)", err)
		}
	})
}

// FuzzPrivateKey: what is read as PKCS #8 is written as the same key, and byte for
// byte the same unless a public key followed. The key signs.
func FuzzPrivateKey(f *testing.F) {
	for _, alg := range fuzzed {
		der, err := MarshalPKCS8PrivateKey(testKey(f, alg))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
		if alg == MLDSA44 {
			k := testKey(f, alg)
			f.Add(sequence([]byte{2, 1, 1}, alg.Identifier(), der[18:], derPublic(k)))
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := ParsePKCS8PrivateKey(der)
		if err != nil {
			return
		}
		again, err := MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		withPublic := bytes.Contains(der, k.PublicKey().Bytes())
		if !withPublic && !bytes.Equal(again, der) {
			t.Fatalf("read %x, wrote %x", der, again)
		}
		if same, err := ParsePKCS8PrivateKey(again); err != nil || !same.Equal(k) {
			t.Fatalf("reads differently the second time (%v)", err)
		}
		if !k.PublicKey().Verify(message, sign(t, k, message)) {
			t.Fatal("its signature is refused")
		}
	})
}

func derPublic(k *PrivateKey) []byte { return der(publicTag, []byte{0}, k.PublicKey().Bytes()) }

func FuzzJWK(f *testing.F) {
	for _, alg := range []Algorithm{MLDSA44, MLDSA44Ed25519SHA512} {
		priv, err := testKey(f, alg).PrivateJWK()
		if err != nil {
			f.Fatal(err)
		}
		pub, err := testKey(f, alg).PublicKey().JWK()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(priv)
		f.Add(pub)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		pub, errPub := ParseJWK(b)
		priv, errPriv := ParsePrivateJWK(b)
		if errPub == nil && errPriv == nil {
			t.Fatalf("both a public and a private key: %s", b)
		}
		if errPriv == nil {
			pub = priv.PublicKey()
			again, err := priv.PrivateJWK()
			if err != nil {
				t.Fatal(err)
			}
			if same, err := ParsePrivateJWK(again); err != nil || !same.Equal(priv) {
				t.Fatalf("the private key reads differently (%v)", err)
			}
		}
		if pub == nil {
			return
		}
		again, err := pub.JWK()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := ParseJWK(again); err != nil || !same.Equal(pub) {
			t.Fatalf("the public key reads differently (%v)", err)
		}
	})
}

// FuzzVerify changes a message, a context, a signature or a key in one place; the
// changed input must be refused. That is not so of every change to a signature: an
// ECDSA half (r, s) is as good as (r, n - s), see TestECDSAHalfIsMalleable, but those
// two differ in every octet of s and not in one.
func FuzzVerify(f *testing.F) {
	for i := range fuzzed {
		for what := range uint8(5) {
			f.Add(uint8(i), what, uint16(77), uint8(1), []byte("message"), []byte("context"))
		}
	}
	f.Fuzz(func(t *testing.T, which, what uint8, at uint16, change uint8, msg, context []byte) {
		alg := fuzzed[int(which)%len(fuzzed)]
		k := testKey(t, alg)
		context = context[:min(len(context), maxContext)]
		sig, err := k.Sign(nil, msg, &Options{Context: context})
		if err != nil {
			t.Fatal(err)
		}
		pub := k.PublicKey()
		if !pub.VerifyWithOptions(msg, sig, &Options{Context: context}) {
			t.Fatal("a good signature is refused")
		}
		switch n := alg.row().mldsa.signatureSize; what % 5 {
		case 0:
			msg = mutate(msg, at, change)
		case 1:
			context = mutate(context, at, change)
		case 2:
			sig = slices.Concat(mutate(sig[:n], at, change), sig[n:])
		case 3:
			sig = slices.Concat(sig[:n], mutate(sig[n:], at, change))
		case 4:
			raw := mutate(pub.Bytes(), at, change)
			if pub, err = NewPublicKey(alg, raw); err != nil {
				return
			}
		}
		if pub.VerifyWithOptions(msg, sig, &Options{Context: context}) {
			t.Fatalf("%v: changed in part %d at %d by %#x: accepted", alg, what%5, at, change)
		}
	})
}

// mutate returns b with one octet changed, or with one more if change is 0 or b is
// empty.
func mutate(b []byte, at uint16, change uint8) []byte {
	if change == 0 || len(b) == 0 {
		return append(slices.Clone(b), change)
	}
	b = slices.Clone(b)
	b[int(at)%len(b)] ^= change
	return b
}
