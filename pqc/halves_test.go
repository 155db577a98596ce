package pqc

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The counted halves tell how often the real ones beneath were asked.

type countedMLDSA struct {
	mldsaPublic
	n *int
}

func (c countedMLDSA) verify(message, context, sig []byte) bool {
	*c.n++
	return c.mldsaPublic.verify(message, context, sig)
}

type countedTrad struct {
	tradPublic
	n *int
}

func (c countedTrad) verify(message, sig []byte) bool {
	*c.n++
	return c.tradPublic.verify(message, sig)
}

// TestBothHalvesAreAlwaysChecked, whichever of them is wrong: the time of a refusal
// does not tell which.
func TestBothHalvesAreAlwaysChecked(t *testing.T) {
	eachComposite(t, func(t *testing.T, alg Algorithm) {
		k, n := testKey(t, alg), alg.row().mldsa.signatureSize
		good := sign(t, k, message)
		for name, change := range map[string]int{"neither": -1, "the ML-DSA half": n / 2, "the traditional half": len(good) - 1} {
			sig := slices.Clone(good)
			if change >= 0 {
				sig[change] ^= 1
			}
			var first, second int
			pub := *k.PublicKey()
			pub.mldsa, pub.trad = countedMLDSA{pub.mldsa, &first}, countedTrad{pub.trad, &second}
			if got := pub.Verify(message, sig); got != (change < 0) {
				t.Errorf("%s is wrong: got %v", name, got)
			}
			if first != 1 || second != 1 {
				t.Errorf("%s is wrong: the halves were checked %d and %d times", name, first, second)
			}
		}
	})
}

type failing struct {
	tradPrivate
	n *int
}

func (f failing) sign([]byte) ([]byte, error) {
	*f.n++
	return []byte("half"), errors.New("out of order")
}

// TestNoHalfLeavesAlone: where one half cannot be made, nothing is returned.
func TestNoHalfLeavesAlone(t *testing.T) {
	k := *testKey(t, MLDSA65Ed25519SHA512)
	n := 0
	k.trad = failing{k.trad, &n}
	if sig, err := k.Sign(nil, message, nil); err == nil || sig != nil || n != 1 {
		t.Errorf("got %x and %v", sig, err)
	}
}

// integers returns the DER SEQUENCE of INTEGERs with these contents, right or wrong.
func integers(contents ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, c := range contents {
			b.AddBytes(der(cbasn1.INTEGER, c))
		}
	})
	return b.BytesOrPanic()
}

// TestECDSAHalfIsDER: r and s have one encoding, and lie between 0 and the order.
func TestECDSAHalfIsDER(t *testing.T) {
	for _, alg := range []Algorithm{MLDSA44ECDSAP256SHA256, MLDSA65ECDSAP384SHA512, MLDSA87ECDSAP521SHA512} {
		k, n := testKey(t, alg), alg.row().mldsa.signatureSize
		order := alg.row().trad.(ecdsaScheme).curve.Params().N
		good := sign(t, k, message)
		half := cryptobyte.String(good[n:])
		var seq cryptobyte.String
		r, s := new(big.Int), new(big.Int)
		if !half.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Integer(r) || !seq.ReadASN1Integer(s) {
			t.Fatal("no signature")
		}
		number := func(n *big.Int) []byte { return append(make([]byte, boolInt(n.BitLen()%8 == 0)), n.Bytes()...) }
		a, b := number(r), number(s)
		if !bytes.Equal(integers(a, b), good[n:]) {
			t.Fatal("the builder writes another form than DER")
		}
		body := content(good[n:])
		long := slices.Concat([]byte{0x30, 0x82, byte(len(body) >> 8), byte(len(body))}, body)
		for name, bad := range map[string][]byte{
			"r with one zero more":  integers(append([]byte{0}, a...), b),
			"s with one zero more":  integers(a, append([]byte{0}, b...)),
			"r negative":            integers(append([]byte{0xff}, a...), b),
			"s negative":            integers(a, append([]byte{0xff}, b...)),
			"-s":                    integers(a, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))), s).FillBytes(make([]byte, len(b)))),
			"r zero":                integers([]byte{0}, b),
			"s zero":                integers(a, []byte{0}),
			"both zero":             integers([]byte{0}, []byte{0}),
			"s of no octets":        integers(a, nil),
			"r + n":                 integers(number(new(big.Int).Add(r, order)), b),
			"s + n":                 integers(a, number(new(big.Int).Add(s, order))),
			"s is n":                integers(a, number(order)),
			"a third number":        integers(a, b, []byte{1}),
			"one number":            integers(a),
			"a trailing octet":      append(slices.Clone(good[n:]), 0),
			"a length too long":     long,
			"indefinite length":     slices.Concat([]byte{0x30, 0x80}, body, []byte{0, 0}),
			"r and s one by one":    slices.Concat(r.FillBytes(make([]byte, len(order.Bytes()))), s.FillBytes(make([]byte, len(order.Bytes())))),
			"in an OCTET STRING":    octetString(good[n:]),
			"an OCTET STRING for s": sequence(der(cbasn1.INTEGER, a), octetString(b)),
		} {
			if k.PublicKey().Verify(message, slices.Concat(good[:n], bad)) {
				t.Errorf("%v: %s: accepted", alg, name)
			}
		}
	}
}

// TestECDSAHalfIsMalleable says what composites with ECDSA do not promise (the draft,
// section 9.2.2): whoever sees a signature can make the other one. Both are as good,
// so neither hash nor octets of what is signed are its identity.
func TestECDSAHalfIsMalleable(t *testing.T) {
	k := testKey(t, MLDSA65ECDSAP256SHA512)
	good, n := sign(t, k, message), MLDSA65.SignatureSize()
	half := cryptobyte.String(good[n:])
	var seq cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	if !half.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Integer(r) || !seq.ReadASN1Integer(s) {
		t.Fatal("no signature")
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s.Sub(p256.curve.Params().N, s))
	})
	if !k.PublicKey().Verify(message, slices.Concat(good[:n], b.BytesOrPanic())) {
		t.Error("(r, n-s) is refused: the package comment promises too little")
	}
}

// TestEdDSAHalfIsNotMalleable: s lies below the order (RFC 8032, sections 5.1.7 and
// 5.2.7), and R is compared octet by octet.
func TestEdDSAHalfIsNotMalleable(t *testing.T) {
	order := func(s string) *big.Int {
		n, _ := new(big.Int).SetString(s, 10)
		return n
	}
	for alg, l := range map[Algorithm]*big.Int{
		MLDSA44Ed25519SHA512: order("7237005577332262213973186563042994240857116359379907606001950938285454250989"),
		MLDSA87Ed448SHAKE256: order("181709681073901722637330951972001133588410340171829515070372549795146003961539585716195755291692375963310293709091662304773755859649779"),
	} {
		k, n := testKey(t, alg), alg.row().mldsa.signatureSize
		good := sign(t, k, message)
		size := (len(good) - n) / 2
		for times := int64(1); times <= 4; times++ {
			bad := slices.Clone(good)
			s := bad[n+size:]
			slices.Reverse(s)
			sum := new(big.Int).Add(new(big.Int).SetBytes(s), new(big.Int).Mul(l, big.NewInt(times)))
			if sum.BitLen() > 8*size {
				break
			}
			sum.FillBytes(s)
			slices.Reverse(s)
			if k.PublicKey().Verify(message, bad) {
				t.Errorf("%v: s + %d times the order: accepted", alg, times)
			}
		}
	}
}

// TestRSAHalfIsOfOneSize: a signature has the size of the modulus and is less than it.
func TestRSAHalfIsOfOneSize(t *testing.T) {
	for _, alg := range []Algorithm{MLDSA44RSA2048PSSSHA256, MLDSA44RSA2048PKCS15SHA256} {
		k, n := testKey(t, alg), alg.row().mldsa.signatureSize
		modulus := k.trad.(*rsaPrivate).k.N
		good := sign(t, k, message)
		half := good[n:]
		more := new(big.Int).Add(modulus, new(big.Int).SetBytes(half)).Bytes()
		for name, bad := range map[string][]byte{
			"plus the modulus": more, "a zero before": append([]byte{0}, half...), "a zero after": append(slices.Clone(half), 0),
			"zero": make([]byte, len(half)), "one": append(make([]byte, len(half)-1), 1), "the modulus": modulus.Bytes(),
		} {
			if k.PublicKey().Verify(message, slices.Concat(good[:n], bad)) {
				t.Errorf("%v: %s: accepted", alg, name)
			}
		}
	}
}

// TestRandomSourceIsTheSystems, whatever is handed in.
func TestRandomSourceIsTheSystems(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		k := testKey(t, alg)
		for _, source := range []interface{ Read([]byte) (int, error) }{nil, bytes.NewReader(nil), rand.Reader} {
			if sig, err := k.Sign(source, message, nil); err != nil || !k.PublicKey().Verify(message, sig) {
				t.Errorf("with %T: %v", source, err)
			}
		}
	})
}
