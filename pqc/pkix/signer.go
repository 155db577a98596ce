package pkix

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
)

// A Signer signs certificates, CRLs and similar structures. Many goroutines may use it
// at once if they may use its key so.
type Signer struct {
	key        crypto.Signer
	hash       crypto.Hash // 0 where the algorithm takes the message itself
	identifier []byte
	spki       []byte
	alt        crypto.Signer // for alternative signatures, or nil
	altKey     *pqc.PublicKey
}

// NewSigner returns the Signer for a key whose public half is a *pqc.PublicKey, or for a
// classical key: ECDSA on P-256 or P-384 (RFC 5758, section 3.2) or Ed25519 (RFC 8410,
// section 3). The private half may live anywhere.
func NewSigner(key crypto.Signer) (*Signer, error) {
	s := &Signer{key: key}
	switch pub := key.Public().(type) {
	case *pqc.PublicKey:
		s.identifier, s.spki = pub.Algorithm().Identifier(), pqc.MarshalPKIXPublicKey(pub)
		return s, nil
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P256():
			s.hash, s.identifier = crypto.SHA256, identifier(oidECDSASHA256, nil)
		case elliptic.P384():
			s.hash, s.identifier = crypto.SHA384, identifier(oidECDSASHA384, nil)
		default:
			return nil, fmt.Errorf("no signing with ECDSA on %s", pub.Curve.Params().Name)
		}
	case ed25519.PublicKey:
		s.identifier = identifier(oidEd25519, nil)
	default:
		return nil, fmt.Errorf("no signing with keys of type %T", pub)
	}
	var err error
	if s.spki, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	return s, nil
}

// NewAlternativeSigner returns a Signer that gives each certificate and CRL the
// alternative signature of alt and then signs it with key. alt.Public() is a
// *pqc.PublicKey. For the signature to count, the certificate of the issuer must have
// the extension [AlternativeKey] of it.
func NewAlternativeSigner(key, alt crypto.Signer) (*Signer, error) {
	s, err := NewSigner(key)
	if err != nil {
		return nil, err
	}
	if alt == nil {
		return nil, errors.New("an alternative signature needs a key")
	}
	public, ok := alt.Public().(*pqc.PublicKey)
	if !ok {
		return nil, fmt.Errorf("no alternative signatures with keys of type %T", alt.Public())
	}
	s.alt, s.altKey = alt, public
	return s, nil
}

// Algorithm returns the DER AlgorithmIdentifier that must stand in what is to be
// signed.
func (s *Signer) Algorithm() []byte { return slices.Clone(s.identifier) }

// PublicKey returns the DER SubjectPublicKeyInfo of the key, not of the alternative one.
func (s *Signer) PublicKey() []byte { return slices.Clone(s.spki) }

// Alternative returns the public key of the alternative signatures, or nil.
func (s *Signer) Alternative() *pqc.PublicKey { return s.altKey }

// SignCertificate returns the DER certificate for a DER TBSCertificate, which must
// name Algorithm() and, for an alternative signature, be of version 3 (RFC 5280,
// section 4.1).
func (s *Signer) SignCertificate(tbs []byte) ([]byte, error) {
	return s.signTBS(tbs, certificateExtensions)
}

// SignCRL returns the DER CertificateList for a DER TBSCertList, which must name
// Algorithm() and, for an alternative signature, be of version 2 (RFC 5280, section
// 5.1).
func (s *Signer) SignCRL(tbs []byte) ([]byte, error) {
	return s.signTBS(tbs, crlExtensions)
}

func (s *Signer) signTBS(tbs []byte, tag cbasn1.Tag) ([]byte, error) {
	t, err := splitTBS(tbs, tag)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(t.signature, s.identifier) {
		return nil, errors.New("what is to be signed names another algorithm than the key's")
	}
	if s.alt != nil {
		if tbs, err = addAlternative(t, s.alt, s.altKey); err != nil {
			return nil, fmt.Errorf("alternative signature: %w", err)
		}
	}
	return s.Sign(tbs)
}

// Sign returns the SEQUENCE of message, Algorithm() and the signature: a
// CertificationRequest for its info, a BasicOCSPResponse without certificates for its
// data, or anything else of this shape. It adds no alternative signature; X.509 has
// none for them.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	digest := message
	if s.hash != 0 {
		h := s.hash.New()
		h.Write(message)
		digest = h.Sum(nil)
	}
	sig, err := s.key.Sign(rand.Reader, digest, s.hash)
	if err != nil {
		return nil, err
	}
	return (&signed{tbs: message, identifier: s.identifier, signature: sig}).wrap()
}
