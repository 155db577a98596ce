package keycheck

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"sync"
)

// Size returns why an RSA key is refused for its size or its exponent alone. It takes no
// time, while Check takes ten times as long as verifying a signature: whoever gets keys
// from strangers verifies their signature in between. It refuses no other key.
func (r Rules) Size(public crypto.PublicKey) error {
	k, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil
	}
	if n := k.N.BitLen(); n < minBits || n > r.maxBits {
		return fmt.Errorf("RSA has %d bits, want %d to %d", n, minBits, r.maxBits)
	}
	if k.E < r.minExponent || k.E%2 == 0 {
		return fmt.Errorf("RSA exponent %d, want an odd one from %d", k.E, r.minExponent)
	}
	return nil
}

func (r Rules) checkRSA(k *rsa.PublicKey) error {
	if err := r.Size(k); err != nil {
		return err
	}
	if new(big.Int).GCD(nil, nil, k.N, smallPrimes()).Cmp(big.NewInt(1)) != 0 {
		return errors.New("the RSA modulus has a small factor")
	}
	if isROCA(k.N) {
		return errors.New("the RSA modulus is of the kind that CVE-2017-15361 (ROCA) makes factorable")
	}
	if closePrimes(k.N) {
		return errors.New("the RSA primes lie so close together that Fermat's method finds them")
	}
	return nil
}

// primes are the odd ones below 752, the bound that boulder's goodkey uses for small factors.
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
		if maybeSquare(b2) {
			if b := new(big.Int).Sqrt(b2); b.Mul(b, b).Cmp(b2) == 0 {
				return true
			}
		}
		a.Add(a, big.NewInt(1))
	}
	return false
}

// maybeSquare rules out most numbers that are not squares by their residues, for
// a square root costs a hundred times as much.
func maybeSquare(n *big.Int) bool {
	for _, p := range []int64{64, 63, 65, 11, 17, 19, 23} {
		residue, square := new(big.Int).Mod(n, big.NewInt(p)).Int64(), false
		for i := range p {
			square = square || i*i%p == residue
		}
		if !square {
			return false
		}
	}
	return true
}
