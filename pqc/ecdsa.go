package pqc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// An ecdsaScheme is ECDSA on one curve. A public key is the uncompressed point, a
// signature the DER of r and s, a private key an ECPrivateKey (RFC 5915) with the
// curve and without the public key (the draft, section 4).
type ecdsaScheme struct {
	curve elliptic.Curve
	hash  crypto.Hash
	oid   asn1.ObjectIdentifier
}

func (s ecdsaScheme) octets() int { return (s.curve.Params().BitSize + 7) / 8 }

func (s ecdsaScheme) sizes() sizes {
	n := s.octets()
	integer := n + 1 // a leading zero keeps the highest bit free
	if s.curve.Params().BitSize%8 != 0 {
		integer = n // P-521 has it free
	}
	return sizes{
		publicKey:  1 + 2*n,
		privateKey: len(s.marshal(make([]byte, n))),
		signature:  derSize(2 * derSize(integer)),
	}
}

// marshal returns the ECPrivateKey for a private scalar of full length.
func (s ecdsaScheme) marshal(d []byte) []byte {
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, len(d)+32)) // does not grow, so leaves no copies of d
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString(d)
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(s.oid)
		})
	})
	return b.BytesOrPanic()
}

func (s ecdsaScheme) generate() (tradPrivate, error) {
	k, err := ecdsa.GenerateKey(s.curve, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating an ECDSA key: %w", err)
	}
	return newECDSAPrivate(s, k)
}

func (s ecdsaScheme) parsePublic(b []byte) (tradPublic, error) {
	k, err := ecdsa.ParseUncompressedPublicKey(s.curve, b)
	if err != nil {
		return nil, fmt.Errorf("the ECDSA half must be an uncompressed point of %s: %w", s.curve.Params().Name, err)
	}
	return &ecdsaPublic{s, k, bytes.Clone(b)}, nil
}

func (s ecdsaScheme) parsePrivate(b []byte) (tradPrivate, error) {
	// The encoding has a fixed length and one variable part, so it is compared
	// with what we would write.
	const before = 7 // octets: SEQUENCE, INTEGER 1 and the head of the OCTET STRING
	n := s.octets()
	if len(b) != s.sizes().privateKey {
		return nil, errECPrivateKey
	}
	d := b[before : before+n]
	if subtle.ConstantTimeCompare(b, s.marshal(d)) != 1 {
		return nil, errECPrivateKey
	}
	k, err := ecdsa.ParseRawPrivateKey(s.curve, d)
	if err != nil {
		return nil, fmt.Errorf("the ECDSA half: %w", err)
	}
	return newECDSAPrivate(s, k)
}

var errECPrivateKey = errors.New("the ECDSA half must be an ECPrivateKey of this curve with parameters and without publicKey")

type ecdsaPublic struct {
	s   ecdsaScheme
	k   *ecdsa.PublicKey
	raw []byte
}

func (p *ecdsaPublic) bytes() []byte { return p.raw }

func (p *ecdsaPublic) verify(message, sig []byte) bool {
	return ecdsa.VerifyASN1(p.k, digest(p.s.hash, message), sig)
}

func (p *ecdsaPublic) spki() ([]byte, error) { return x509.MarshalPKIXPublicKey(p.k) }

type ecdsaPrivate struct {
	s   ecdsaScheme
	k   *ecdsa.PrivateKey
	pub *ecdsaPublic
}

func newECDSAPrivate(s ecdsaScheme, k *ecdsa.PrivateKey) (*ecdsaPrivate, error) {
	raw, err := k.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("the ECDSA half: %w", err)
	}
	return &ecdsaPrivate{s, k, &ecdsaPublic{s, &k.PublicKey, raw}}, nil
}

func (p *ecdsaPrivate) bytes() ([]byte, error) {
	d, err := p.k.Bytes()
	if err != nil {
		return nil, fmt.Errorf("the ECDSA half: %w", err)
	}
	return p.s.marshal(d), nil
}

func (p *ecdsaPrivate) public() tradPublic { return p.pub }

func (p *ecdsaPrivate) sign(message []byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, p.k, digest(p.s.hash, message))
}

func digest(h crypto.Hash, message []byte) []byte {
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}
