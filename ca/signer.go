package ca

import (
	"crypto"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Signer signs certificates, CRLs and OCSP responses with a classical key, an
// ML-DSA key or a composite key. If it has an alternative key beside a classical
// one, it adds extensions of its own to certificates and CRLs.
type Signer struct{ pkix *pkix.Signer }

// NewSigner returns the Signer for a key of package keys.
func NewSigner(key crypto.Signer) (Signer, error) {
	if two, ok := key.(keys.AlternativeSigner); ok {
		s, err := pkix.NewAlternativeSigner(two.Signer, two.Alternative)
		return Signer{s}, err
	}
	s, err := pkix.NewSigner(key)
	return Signer{s}, err
}

// PublicKey returns the DER SubjectPublicKeyInfo of the signing key.
func (s Signer) PublicKey() []byte { return s.pkix.PublicKey() }

// alternative returns the DER SubjectPublicKeyInfo of the key of alternative
// signatures, or nil.
func (s Signer) alternative() []byte {
	if k := s.pkix.Alternative(); k != nil {
		return pqc.MarshalPKIXPublicKey(k)
	}
	return nil
}

// signCertificate returns the DER certificate for t.
func (s Signer) signCertificate(t *tbsCertificate) ([]byte, error) {
	tbs, err := t.marshal(s.pkix.Algorithm())
	if err != nil {
		return nil, err
	}
	return s.pkix.SignCertificate(tbs)
}

// SignCRL returns the DER CertificateList for a TBSCertList that tbs returns
// for the DER AlgorithmIdentifier it is given.
func (s Signer) SignCRL(tbs func(algorithm []byte) ([]byte, error)) ([]byte, error) {
	der, err := tbs(s.pkix.Algorithm())
	if err != nil {
		return nil, err
	}
	return s.pkix.SignCRL(der)
}

// SignOCSP returns the DER BasicOCSPResponse, without certificates, for a DER
// ResponseData (RFC 6960, section 4.2.1). A ResponseData cannot be mistaken for a
// TBSCertificate or TBSCertList, because it begins with another tag. It has no
// alternative signature, because X.509 defines none for it.
func (s Signer) SignOCSP(data []byte) ([]byte, error) { return s.pkix.Sign(data) }

// alternativeKey returns the extension that binds an alternative key to the
// subject of a CA's certificate. spki is the key's DER SubjectPublicKeyInfo; if it
// is empty, there is no extension.
func alternativeKey(spki []byte) ([]byte, error) {
	if len(spki) == 0 {
		return nil, nil
	}
	k, err := pqc.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, err
	}
	return pkix.AlternativeKey(k), nil
}
