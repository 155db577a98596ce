// Package keycheck refuses public keys that are known to be weak. The registry,
// the inspector of files and the verifier of certificate paths all ask it.
//
// It finds keys that are too small, Ed25519 points of small order, and RSA
// moduli with a small factor, with primes close together, or made by the library
// of CVE-2017-15361 (ROCA). It cannot find a key whose private half is known to
// others: no list of such keys is kept here.
package keycheck

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"

	"github.com/brevet-ca/brevet/pqc"
)

// Rules say which RSA keys are accepted. All Rules treat other keys alike.
type Rules struct {
	maxBits     int
	minExponent int
}

// minBits is the size of the smallest RSA keys (NIST SP 800-131A).
const minBits = 2048

var (
	// Agents are the rules for keys that agents use: see CA/Browser Forum BR
	// 6.1.6 for the exponent.
	Agents = Rules{maxBits: 4096, minExponent: 65537}
	// Others are the rules for keys that others use, and with which we only
	// verify. The bound on the size keeps a stranger from making a check slow.
	Others = Rules{maxBits: 8192, minExponent: 3}
)

// Check returns why a public key is refused. It may be of crypto/ecdsa,
// crypto/ed25519, crypto/rsa or pqc.
func (r Rules) Check(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil // parsing proved that the point lies on the curve
		}
		return errors.New("want the curve P-256, P-384 or P-521")
	case ed25519.PublicKey:
		return checkEd25519(k)
	case *rsa.PublicKey:
		return r.checkRSA(k)
	case *pqc.PublicKey:
		return nil // checked when it was parsed
	}
	return errors.New("want ECDSA P-256, P-384 or P-521, Ed25519, or RSA from 2048 bits; or, for certificates, ML-DSA or a composite")
}

// p256 is the DER before the point of a P-256 key, which is 65 octets (RFC 5480, section 2).
var p256 = []byte{
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, // id-ecPublicKey
	0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, // secp256r1, BIT STRING
}

// Encoding refuses a SubjectPublicKeyInfo that is not the one DER encoding of
// the key that crypto/x509 read from it. The parser ignores what follows the key
// inside, and shifts by unused bits. A key with two encodings has two hashes, so
// a search by the hash of one would not find the other.
func Encoding(spki []byte, public crypto.PublicKey) error {
	if k, ok := public.(*ecdsa.PublicKey); ok && k.Curve == elliptic.P256() && len(spki) == len(p256)+65 && bytes.HasPrefix(spki, p256) {
		return nil // most keys are of this kind, and marshaling is slow
	}
	usual, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	if !bytes.Equal(spki, usual) {
		return errors.New("its SubjectPublicKeyInfo is not in DER as RFC 5480, RFC 8410 and RFC 3279 have it")
	}
	return nil
}

// checkEd25519 refuses the points of small order, under which a signature can
// be valid for many messages (RFC 8032, section 5.1.7 does not exclude them).
func checkEd25519(k ed25519.PublicKey) error {
	if len(k) != ed25519.PublicKeySize {
		return fmt.Errorf("an Ed25519 key has %d octets, not %d", ed25519.PublicKeySize, len(k))
	}
	if smallOrder()[string(k[:31])+string(k[31]&0x7f)] {
		return errors.New("the Ed25519 point has small order")
	}
	return nil
}

// smallOrder holds the encodings, the sign bit cleared, of every point of
// edwards25519 whose order divides 8: y is 0, 1 or -1 (also unreduced) or one
// of the two y of order 8.
var smallOrder = sync.OnceValue(func() map[string]bool {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	y8, _ := new(big.Int).SetString("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
	points := map[string]bool{}
	for _, y := range []*big.Int{
		big.NewInt(0), big.NewInt(1), y8, new(big.Int).Sub(p, y8),
		new(big.Int).Sub(p, big.NewInt(1)), p, new(big.Int).Add(p, big.NewInt(1)),
	} {
		encoded := y.FillBytes(make([]byte, 32))
		slices.Reverse(encoded)
		points[string(encoded)] = true
	}
	return points
})
