package agents

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"sync"

	"github.com/brevet-ca/brevet/pqc"
)

// CheckKey refuses public keys that no agent should use: of unknown kind, too
// small, or known to be weak. RSA keys have 2048 to 4096 bits and an odd
// exponent from 65537 (NIST SP 800-131A; CA/Browser Forum BR 6.1.6).
func CheckKey(key any) error {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil // parsing proved that the point lies on the curve
		}
		return fmt.Errorf("%w key: want the curve P-256, P-384 or P-521", ErrInvalid)
	case ed25519.PublicKey:
		return checkEd25519(k)
	case *rsa.PublicKey:
		return checkRSA(k)
	case *pqc.PublicKey:
		return nil // checked when it was parsed
	}
	return fmt.Errorf("%w key: want ECDSA P-256, P-384 or P-521, Ed25519, or RSA from 2048 bits; or, for certificates, ML-DSA or a composite", ErrInvalid)
}

// CheckEncoding refuses a SubjectPublicKeyInfo that is not the one DER encoding of
// key, which crypto/x509 read from it: its parser passes over what follows the key
// inside, and shifts by unused bits. A key with two encodings has two hashes, and is
// not found by the one when it comes in the other.
func CheckEncoding(spki []byte, key any) error {
	usual, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return fmt.Errorf("%w key: %v", ErrInvalid, err)
	}
	if !bytes.Equal(spki, usual) {
		return fmt.Errorf("%w key: its SubjectPublicKeyInfo is not in DER as RFC 5480, RFC 8410 and RFC 3279 have it", ErrInvalid)
	}
	return nil
}

// checkEd25519 refuses the points of small order, under which a signature can
// be valid for many messages (RFC 8032, section 5.1.7 does not exclude them).
func checkEd25519(k ed25519.PublicKey) error {
	if smallOrder()[string(k[:31])+string(k[31]&0x7f)] {
		return fmt.Errorf("%w key: the Ed25519 point has small order", ErrInvalid)
	}
	return nil
}

func checkRSA(k *rsa.PublicKey) error {
	if n := k.N.BitLen(); n < 2048 || n > 4096 {
		return fmt.Errorf("%w key: RSA has %d bits, want 2048 to 4096", ErrInvalid, n)
	}
	if k.E < 65537 || k.E%2 == 0 {
		return fmt.Errorf("%w key: RSA exponent %d, want an odd one from 65537", ErrInvalid, k.E)
	}
	if new(big.Int).GCD(nil, nil, k.N, smallPrimes()).Cmp(big.NewInt(1)) != 0 {
		return fmt.Errorf("%w key: the RSA modulus has a small factor", ErrInvalid)
	}
	if isROCA(k.N) {
		return fmt.Errorf("%w key: the RSA modulus is of the kind that CVE-2017-15361 (ROCA) makes factorable", ErrInvalid)
	}
	if closePrimes(k.N) {
		return fmt.Errorf("%w key: the RSA primes lie so close together that Fermat's method finds them", ErrInvalid)
	}
	return nil
}

// primes below 752, the bound that boulder's goodkey uses for small factors.
var primes = sync.OnceValue(func() (ps []int64) {
	for n := int64(3); n < 752; n += 2 {
		if big.NewInt(n).ProbablyPrime(0) {
			ps = append(ps, n)
		}
	}
	return ps
})

var smallPrimes = sync.OnceValue(func() *big.Int {
	product := big.NewInt(2)
	for _, p := range primes() {
		product.Mul(product, big.NewInt(p))
	}
	return product
})

// isROCA recognizes moduli whose primes were made from powers of 65537: their
// residues modulo each of the small primes are powers of 65537 too (Nemec et
// al., "The Return of Coppersmith's Attack", section 2). A random modulus
// passes all 38 tests once in 2^27 or less.
func isROCA(n *big.Int) bool {
	for _, p := range primes() {
		if p > 167 {
			break
		}
		residue := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		if !isPowerOf65537(residue, p) {
			return false
		}
	}
	return true
}

func isPowerOf65537(residue, p int64) bool {
	for power, i := int64(1), int64(0); i < p; i++ {
		if power == residue {
			return true
		}
		power = power * 65537 % p
	}
	return false
}

// closePrimes runs a hundred rounds of Fermat's factorization.
func closePrimes(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) < 0 {
		a.Add(a, big.NewInt(1))
	}
	for range 100 {
		b2 := new(big.Int).Sub(new(big.Int).Mul(a, a), n)
		b := new(big.Int).Sqrt(b2)
		if new(big.Int).Mul(b, b).Cmp(b2) == 0 {
			return true
		}
		a.Add(a, big.NewInt(1))
	}
	return false
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
