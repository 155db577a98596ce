package pqc

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// An rsaScheme is RSASSA-PSS or RSASSA-PKCS1-v1_5 with a modulus of one size. Keys
// are RSAPublicKey and two-prime RSAPrivateKey (RFC 8017, appendix A.1).
type rsaScheme struct {
	bits int
	hash crypto.Hash
	pss  bool // MGF1 with the same hash, salt as long as the hash
}

// The draft lets other exponents be refused (section 4); one size per algorithm
// and no odd keys are worth more than the few that have another.
const rsaExponent = 65537

func (s rsaScheme) sizes() sizes {
	n := s.bits / 8
	modulus, prime := derSize(n+1), derSize(n/2+1) // each with a leading zero
	const version, exponent = 3, 5
	return sizes{
		publicKey:  derSize(modulus + exponent),
		privateKey: derSize(version + 2*modulus + exponent + 5*prime),
		signature:  n,
	}
}

func (s rsaScheme) generate() (tradPrivate, error) {
	k, err := rsa.GenerateKey(rand.Reader, s.bits)
	if err != nil {
		return nil, fmt.Errorf("generating an RSA key: %w", err)
	}
	return s.newPrivate(k)
}

func (s rsaScheme) parsePublic(b []byte) (tradPublic, error) {
	in, n, e := cryptobyte.String(b), new(big.Int), 0
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadASN1Integer(n) || !seq.ReadASN1Integer(&e) || !seq.Empty() {
		return nil, errors.New("the RSA half must be a DER RSAPublicKey")
	}
	if err := s.check(n, e); err != nil {
		return nil, err
	}
	return &rsaPublic{s, &rsa.PublicKey{N: n, E: e}, bytes.Clone(b)}, nil
}

func (s rsaScheme) check(n *big.Int, e int) error {
	if n.Sign() <= 0 || n.BitLen() != s.bits || n.Bit(0) == 0 {
		return fmt.Errorf("the RSA half must have an odd modulus of %d bits, this one has %d", s.bits, n.BitLen())
	}
	if e != rsaExponent {
		return fmt.Errorf("the RSA half must have the exponent %d, this one has %d", rsaExponent, e)
	}
	return nil
}

func (s rsaScheme) parsePrivate(b []byte) (tradPrivate, error) {
	k, err := x509.ParsePKCS1PrivateKey(b)
	if err != nil {
		// The text is not wrapped: it may speak of the numbers in the key.
		return nil, errors.New("the RSA half must be a valid DER RSAPrivateKey")
	}
	if err := s.check(k.N, k.E); err != nil {
		return nil, err
	}
	if len(k.Primes) != 2 || subtle.ConstantTimeCompare(b, x509.MarshalPKCS1PrivateKey(k)) != 1 {
		return nil, errors.New("the RSA half must be a two-prime RSAPrivateKey in DER")
	}
	return s.newPrivate(k)
}

type rsaPublic struct {
	s   rsaScheme
	k   *rsa.PublicKey
	raw []byte
}

func (p *rsaPublic) bytes() []byte { return p.raw }

func (p *rsaPublic) verify(message, sig []byte) bool {
	d := digest(p.s.hash, message)
	if p.s.pss {
		return rsa.VerifyPSS(p.k, p.s.hash, d, sig, p.s.pssOptions()) == nil
	}
	return rsa.VerifyPKCS1v15(p.k, p.s.hash, d, sig) == nil
}

func (s rsaScheme) pssOptions() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
}

func (p *rsaPublic) spki() ([]byte, error) { return x509.MarshalPKIXPublicKey(p.k) }

type rsaPrivate struct {
	s   rsaScheme
	k   *rsa.PrivateKey
	pub *rsaPublic
}

func (s rsaScheme) newPrivate(k *rsa.PrivateKey) (*rsaPrivate, error) {
	if err := s.check(k.N, k.E); err != nil {
		return nil, err
	}
	return &rsaPrivate{s, k, &rsaPublic{s, &k.PublicKey, x509.MarshalPKCS1PublicKey(&k.PublicKey)}}, nil
}

func (p *rsaPrivate) bytes() ([]byte, error) { return x509.MarshalPKCS1PrivateKey(p.k), nil }
func (p *rsaPrivate) public() tradPublic     { return p.pub }

func (p *rsaPrivate) sign(message []byte) ([]byte, error) {
	d := digest(p.s.hash, message)
	if p.s.pss {
		return rsa.SignPSS(rand.Reader, p.k, p.s.hash, d, p.s.pssOptions())
	}
	return rsa.SignPKCS1v15(rand.Reader, p.k, p.s.hash, d)
}
