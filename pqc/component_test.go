package pqc

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidBrainpool = asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 7}

func TestECDSAHalfRefusals(t *testing.T) {
	for _, alg := range []Algorithm{MLDSA65ECDSAP256SHA512, MLDSA65ECDSAP384SHA512, MLDSA87ECDSAP521SHA512} {
		k := testKey(t, alg)
		s, n := alg.row().trad.(ecdsaScheme), alg.row().mldsa.publicKeySize
		point := k.PublicKey().Bytes()[n:]
		x, y := new(big.Int).SetBytes(point[1:1+s.octets()]), new(big.Int).SetBytes(point[1+s.octets():])
		off := slices.Clone(point)
		off[len(off)-1] ^= 1
		hybrid := append([]byte{6 + byte(y.Bit(0))}, point[1:]...)
		refuseTraditionalPublic(t, alg, map[string][]byte{
			"a compressed point":  elliptic.MarshalCompressed(s.curve, x, y),
			"a hybrid point":      hybrid,
			"off the curve":       off,
			"infinity":            {0},
			"infinity, full size": make([]byte, len(point)),
			"without 04":          point[1:],
			"x beyond p":          slices.Concat([]byte{4}, bytes.Repeat([]byte{0xff}, s.octets()), point[1+s.octets():]),
		})
		key := k.trad.(*ecdsaPrivate).k
		withPublic, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		d, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		order := s.curve.Params().N.FillBytes(make([]byte, s.octets()))
		refuseTraditionalPrivate(t, alg, map[string][]byte{
			"with publicKey":     withPublic,
			"zero":               s.marshal(make([]byte, s.octets())),
			"the order":          s.marshal(order),
			"raw":                d,
			"without parameters": sequence([]byte{2, 1, 1}, octetString(d)),
			"version 2":          append([]byte{s.marshal(d)[0], s.marshal(d)[1], 2, 1, 2}, s.marshal(d)[5:]...),
			"another curve":      ecdsaScheme{curve: s.curve, oid: oidBrainpool}.marshal(d),
		})
	}
}

func TestRSAHalfRefusals(t *testing.T) {
	alg := MLDSA44RSA2048PSSSHA256
	k := testKey(t, alg)
	key := k.trad.(*rsaPrivate).k
	pub := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	e := []byte{2, 3, 1, 0, 1}
	number := func(n *big.Int) []byte { return der(cbasn1.INTEGER, append([]byte{0}, n.Bytes()...)) }
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	refuseTraditionalPublic(t, alg, map[string][]byte{
		"e = 3":                sequence(number(key.N), []byte{2, 3, 0, 0, 3}),
		"e = 3, one octet":     sequence(number(key.N), []byte{2, 1, 3}),
		"e = 65539":            sequence(number(key.N), []byte{2, 3, 1, 0, 3}),
		"2047 bits":            sequence(number(new(big.Int).Rsh(key.N, 1)), e),
		"3072 bits":            testKey(t, MLDSA65RSA3072PSSSHA512).PublicKey().Bytes()[1952:],
		"negative":             sequence(der(cbasn1.INTEGER, key.N.Bytes()), e),
		"even":                 sequence(number(new(big.Int).Sub(key.N, big.NewInt(1))), e),
		"leading zeros":        sequence(der(cbasn1.INTEGER, []byte{0, 0}, key.N.Bytes()), e),
		"a third number":       sequence(number(key.N), e, e),
		"trailing octet":       append(slices.Clone(pub), 0),
		"SubjectPublicKeyInfo": spki,
		"non-minimal length":   slices.Concat([]byte{0x30, 0x83, 0}, pub[2:]),
	})
	good := x509.MarshalPKCS1PrivateKey(key)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	wrongCRT := slices.Clone(good)
	wrongCRT[len(wrongCRT)-1] ^= 1
	refuseTraditionalPrivate(t, alg, map[string][]byte{
		"PKCS #8":        pkcs8,
		"trailing octet": append(slices.Clone(good), 0),
		"3072 bits":      x509.MarshalPKCS1PrivateKey(testKey(t, MLDSA65RSA3072PSSSHA512).trad.(*rsaPrivate).k),
		"a wrong qInv":   wrongCRT,
		"version 1":      bytes.Replace(good, []byte{2, 1, 0}, []byte{2, 1, 1}, 1),
		"the public key": pub,
	})
}

// TestEdDSAHalfRefusals: RFC 8032, sections 5.1.3 and 5.2.3, and points of small
// order, which verify signatures that nobody made.
func TestEdDSAHalfRefusals(t *testing.T) {
	le := func(octets int, p string, add int64) []byte {
		n, _ := new(big.Int).SetString(p, 10)
		b := n.Add(n, big.NewInt(add)).FillBytes(make([]byte, octets))
		slices.Reverse(b)
		return b
	}
	bad := func(octets int, p string) map[string][]byte {
		negative := le(octets, "1", 0)
		negative[octets-1] |= 0x80
		return map[string][]byte{
			"zero":                    make([]byte, octets), // order 4
			"identity":                le(octets, "1", 0),
			"identity, negative zero": negative,
			"order 2":                 le(octets, p, -1),
			"y = p":                   le(octets, p, 0),
			"y = p + 1":               le(octets, p, 1),
			"all ones":                bytes.Repeat([]byte{0xff}, octets),
			"off the curve":           offCurve(octets),
		}
	}
	b25519 := bad(32, curve25519.p.String())
	for i, s := range []string{
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	} {
		b25519["order 8, "+string(rune('a'+i))] = fromHex(t, s)
	}
	refuseTraditionalPublic(t, MLDSA65Ed25519SHA512, b25519)
	refuseTraditionalPublic(t, MLDSA87Ed448SHAKE256, bad(57, curve448.p.String()))
	for _, alg := range []Algorithm{MLDSA65Ed25519SHA512, MLDSA87Ed448SHAKE256} {
		raw, err := testKey(t, alg).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		refuseTraditionalPrivate(t, alg, map[string][]byte{
			"seed and public key": append(raw[seedSize:], testKey(t, alg).PublicKey().trad.bytes()...),
			"an OCTET STRING":     octetString(raw[seedSize:]),
			"one octet less":      raw[seedSize : len(raw)-1],
		})
	}
}

// offCurve returns y = 2, for which neither curve has an x.
func offCurve(octets int) []byte {
	b := make([]byte, octets)
	b[0] = 2
	return b
}

// TestGeneratedPointsPass: the check of points accepts each public key that the
// implementations make.
func TestGeneratedPointsPass(t *testing.T) {
	for _, s := range []traditional{ed25519Scheme{}, ed448Scheme{}} {
		for range 50 {
			k, err := s.generate()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.parsePublic(k.public().bytes()); err != nil {
				t.Fatalf("%s: %v", hex.EncodeToString(k.public().bytes()), err)
			}
		}
	}
}

func refuseTraditionalPublic(t *testing.T, alg Algorithm, bad map[string][]byte) {
	t.Helper()
	s := alg.row().trad
	for name, b := range bad {
		if _, err := s.parsePublic(b); err == nil {
			t.Errorf("%v, public, %s: accepted", alg, name)
		}
		raw := append(testKey(t, alg).PublicKey().Bytes()[:alg.row().mldsa.publicKeySize], b...)
		if _, err := NewPublicKey(alg, raw); err == nil {
			t.Errorf("%v, whole public key, %s: accepted", alg, name)
		}
	}
}

func refuseTraditionalPrivate(t *testing.T, alg Algorithm, bad map[string][]byte) {
	t.Helper()
	for name, b := range bad {
		if _, err := alg.row().trad.parsePrivate(b); err == nil {
			t.Errorf("%v, private, %s: accepted", alg, name)
		}
		if _, err := NewPrivateKey(alg, append(make([]byte, seedSize), b...)); err == nil {
			t.Errorf("%v, whole private key, %s: accepted", alg, name)
		}
	}
}
