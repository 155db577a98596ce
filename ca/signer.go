package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A Signer turns what is to be signed into what is signed. This, and not
// crypto.Signer, is where algorithms plug in: a hybrid one writes extensions
// of its own into the certificate before it signs.
type Signer interface {
	// PublicKey returns the DER SubjectPublicKeyInfo of the signing key.
	PublicKey() []byte
	// SignCertificate returns the DER certificate for t.
	SignCertificate(t *TBSCertificate) ([]byte, error)
	// SignCRL returns the DER CertificateList for a TBSCertList that tbs
	// returns for the DER AlgorithmIdentifier it is given.
	SignCRL(tbs func(algorithm []byte) ([]byte, error)) ([]byte, error)
}

// NewSigner returns the Signer for a classical key: ECDSA on P-256 or P-384
// (RFC 5758, section 3.2) or Ed25519 (RFC 8410, section 3).
func NewSigner(key crypto.Signer) (Signer, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	s := classical{key: key, spki: spki}
	var oid asn1.ObjectIdentifier
	switch pub := key.Public().(type) {
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P256():
			s.hash, oid = crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
		case elliptic.P384():
			s.hash, oid = crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
		default:
			return nil, fmt.Errorf("an authority does not sign with ECDSA on %s", pub.Curve.Params().Name)
		}
	case ed25519.PublicKey:
		oid = asn1.ObjectIdentifier{1, 3, 101, 112}
	default:
		return nil, fmt.Errorf("an authority does not sign with keys of type %T", pub)
	}
	// Parameters are absent for all three (RFC 5758, section 3.2; RFC 8410, section 3).
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
	s.algorithm, err = b.Bytes()
	return s, err
}

type classical struct {
	key       crypto.Signer
	hash      crypto.Hash // 0 where the algorithm takes the message itself
	spki      []byte
	algorithm []byte
}

func (s classical) PublicKey() []byte { return s.spki }

func (s classical) SignCertificate(t *TBSCertificate) ([]byte, error) { return s.sign(t.Marshal) }

func (s classical) SignCRL(tbs func([]byte) ([]byte, error)) ([]byte, error) { return s.sign(tbs) }

// sign wraps what marshal returns, the algorithm and the signature into one
// SEQUENCE, the shape that certificates and CRLs share (RFC 5280, sections
// 4.1.1 and 5.1.1).
func (s classical) sign(marshal func([]byte) ([]byte, error)) ([]byte, error) {
	tbs, err := marshal(s.algorithm)
	if err != nil {
		return nil, err
	}
	message := tbs
	if s.hash != 0 {
		h := s.hash.New()
		h.Write(tbs)
		message = h.Sum(nil)
	}
	signature, err := s.key.Sign(rand.Reader, message, s.hash)
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)+len(signature)+len(s.algorithm)+16))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(s.algorithm)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}
