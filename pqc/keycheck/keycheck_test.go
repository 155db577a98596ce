package keycheck_test

import (
	"crypto/dsa" //lint:ignore SA1019 to see it refused
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/pqc/keycheck"
)

func TestAgentsMayUse(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if err := keycheck.Agents.Check(&newECDSA(t, curve).PublicKey); err != nil {
			t.Errorf("%s: %v", curve.Params().Name, err)
		}
	}
	edwards, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := keycheck.Agents.Check(edwards); err != nil {
		t.Errorf("Ed25519: %v", err)
	}
	for _, name := range []string{"rsa2048.pem", "rsa3072.pem", "rsa4096.pem"} { // made by openssl genrsa
		if err := keycheck.Agents.Check(readRSA(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func readRSA(t testing.TB, name string) *rsa.PublicKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PublicKey)
}

// keyRefused checks that a key is refused, and because of what.
func keyRefused(t *testing.T, what string, key any, because string) {
	t.Helper()
	err := keycheck.Agents.Check(key)
	if err == nil || !strings.Contains(err.Error(), because) {
		t.Errorf("%s: got %v, want %q", what, err, because)
	}
}

func TestCheckRefusesOtherKinds(t *testing.T) {
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, key := range map[string]any{
		"nothing": nil, "DSA": &dsa.PublicKey{}, "X25519": x25519.PublicKey(), "text": "ssh-ed25519 AAAA", "a private key": newECDSA(t, elliptic.P256()),
	} {
		keyRefused(t, what, key, "want ECDSA P-256, P-384 or P-521, Ed25519, or RSA")
	}
	keyRefused(t, "P-224", &newECDSA(t, elliptic.P224()).PublicKey, "want the curve")
}

func TestCheckRefusesRSAOfWrongSize(t *testing.T) {
	good := readRSA(t, "rsa2048.pem").N
	for _, bits := range []int{0, 1, 512, 1024, 2047, 4097, 8192, 16384} {
		n := new(big.Int)
		if bits > 0 {
			n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
		}
		keyRefused(t, n.String()[:1]+"… bits", &rsa.PublicKey{N: n, E: 65537}, "want 2048 to 4096")
	}
	for _, e := range []int{-65537, 0, 1, 2, 3, 17, 65535, 65536, 65538, 1 << 30} {
		keyRefused(t, "exponent", &rsa.PublicKey{N: good, E: e}, "exponent")
	}
	for _, e := range []int{65537, 65539, 1<<31 - 1} {
		if err := keycheck.Agents.Check(&rsa.PublicKey{N: good, E: e}); err != nil {
			t.Errorf("exponent %d: %v", e, err)
		}
	}
}

func TestCheckRefusesSmallFactors(t *testing.T) {
	cofactor := readRSA(t, "rsa2048.pem").N // it has no small factor itself
	for _, p := range []int64{2, 3, 5, 7, 11, 167, 173, 743, 751} {
		n := new(big.Int).Mul(cofactor, big.NewInt(p))
		keyRefused(t, "a factor of "+big.NewInt(p).String(), &rsa.PublicKey{N: n, E: 65537}, "small factor")
	}
	// The bound is written down here: 757 is the first that is not looked for.
	if err := keycheck.Agents.Check(&rsa.PublicKey{N: new(big.Int).Mul(cofactor, big.NewInt(757)), E: 65537}); err != nil {
		t.Error(err)
	}
}

// TestCheckRefusesROCA makes the primes that Infineon's library made
// (CVE-2017-15361): k*M + (65537^a mod M), where M is a primorial. For keys of
// 2048 bits, M is the product of the first 126 primes (Nemec et al., table 1).
func TestCheckRefusesROCA(t *testing.T) {
	m, count := big.NewInt(1), 0
	for p := int64(2); count < 126; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(p))
			count++
		}
	}
	random := func(bits int) *big.Int {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	prime := func() *big.Int {
		for {
			p := new(big.Int).Mul(random(1025-m.BitLen()), m)
			p.Add(p, new(big.Int).Exp(big.NewInt(65537), random(64), m))
			if p.BitLen() == 1024 && p.Bit(1022) == 1 && p.ProbablyPrime(0) { // two such make 2048 bits
				return p
			}
		}
	}
	keyRefused(t, "a ROCA modulus", &rsa.PublicKey{N: new(big.Int).Mul(prime(), prime()), E: 65537}, "CVE-2017-15361")
}

// TestCheckRefusesClosePrimes: n = p*q with q = p + d. A hundred rounds
// of Fermat's method find d of up to about 2^516 for p of 1024 bits. Primes that
// lie a little further apart are as good as random ones.
func TestCheckRefusesClosePrimes(t *testing.T) {
	p, err := rand.Prime(rand.Reader, 1025)
	if err != nil {
		t.Fatal(err)
	}
	small := new(big.Int).MulRange(3, 751)
	for distance, weak := range map[uint]bool{1: true, 64: true, 512: true, 515: true, 522: false, 900: false} {
		q := new(big.Int).Add(p, new(big.Int).Lsh(big.NewInt(1), distance))
		for new(big.Int).GCD(nil, nil, q, small).Cmp(big.NewInt(1)) != 0 { // for this, q need not be prime
			q.Add(q, big.NewInt(2))
		}
		key := &rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}
		if !weak {
			if err := keycheck.Agents.Check(key); err != nil {
				t.Errorf("primes 2^%d apart: %v", distance, err)
			}
			continue
		}
		keyRefused(t, "close primes", key, "Fermat")
	}
	keyRefused(t, "a square", &rsa.PublicKey{N: new(big.Int).Mul(p, p), E: 65537}, "Fermat")
}

// TestCheckRefusesSmallOrder goes through the points of edwards25519 whose
// order divides 8, in every encoding, as libsodium's ge25519_has_small_order
// lists them. Under such a key, one signature is valid for many messages.
func TestCheckRefusesSmallOrder(t *testing.T) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		point, err := hex.DecodeString(y)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []byte{0, 0x80} {
			point[31] = point[31]&0x7f | sign
			keyRefused(t, hex.EncodeToString(point), ed25519.PublicKey(point), "small order")
		}
	}
}

// TestOthers: with keys of others we only verify, so more sizes are taken, but
// not what is weak.
func TestOthers(t *testing.T) {
	good := readRSA(t, "rsa2048.pem").N
	wide := new(big.Int).SetBit(big.NewInt(1), 8191, 1)
	for new(big.Int).GCD(nil, nil, wide, new(big.Int).MulRange(3, 751)).Cmp(big.NewInt(1)) != 0 {
		wide.Add(wide, big.NewInt(2))
	}
	for what, key := range map[string]*rsa.PublicKey{"an exponent of 3": {N: good, E: 3}, "8192 bits": {N: wide, E: 65537}} {
		if err := keycheck.Others.Check(key); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		keyRefused(t, what, key, "want")
	}
	for what, key := range map[string]any{
		"an even exponent": &rsa.PublicKey{N: good, E: 4}, "an exponent of 1": &rsa.PublicKey{N: good, E: 1},
		"a square": &rsa.PublicKey{N: new(big.Int).Mul(good, good), E: 3}, "8193 bits": &rsa.PublicKey{N: new(big.Int).Lsh(wide, 1), E: 3},
		"small order": ed25519.PublicKey(make([]byte, 32)), "a short Ed25519 key": ed25519.PublicKey{1},
	} {
		if keycheck.Others.Check(key) == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func BenchmarkCheckRSA(b *testing.B) {
	key := readRSA(b, "rsa4096.pem")
	for b.Loop() {
		if err := keycheck.Agents.Check(key); err != nil {
			b.Fatal(err)
		}
	}
}
