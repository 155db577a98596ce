package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
)

// An Algorithm is how a key signs. All that this package knows of one stands
// in this file.
type Algorithm string

const (
	ECDSAP256 Algorithm = "ecdsa-p256"
	ECDSAP384 Algorithm = "ecdsa-p384"
	Ed25519   Algorithm = "ed25519"
)

// Algorithms returns every algorithm there is.
func Algorithms() []Algorithm { return []Algorithm{ECDSAP256, ECDSAP384, Ed25519} }

// ParseAlgorithm returns the algorithm that is spelled s.
func ParseAlgorithm(s string) (Algorithm, error) { return oneOf("algorithm", s, Algorithms()) }

func (a Algorithm) generate() (crypto.Signer, error) {
	switch a {
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	_, err := ParseAlgorithm(string(a))
	return nil, err
}

// algorithmOf returns the algorithm of a DER SubjectPublicKeyInfo.
func algorithmOf(spki []byte) (Algorithm, error) {
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return "", fmt.Errorf("%w: its public key cannot be read: %v", ErrInvalid, err)
	}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ECDSAP256, nil
		case elliptic.P384():
			return ECDSAP384, nil
		}
	case ed25519.PublicKey:
		return Ed25519, nil
	}
	return "", fmt.Errorf("%w: a %T of this kind signs nothing here", ErrInvalid, public)
}

func marshalPublic(k crypto.PublicKey) ([]byte, error) { return x509.MarshalPKIXPublicKey(k) }

// marshalPrivate returns the PKCS #8 form of a key.
func marshalPrivate(k crypto.Signer) ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k) }

// parsePrivate reads what marshalPrivate wrote, or openssl. The public half of
// the result is computed from the private one, never taken from der. The error
// says nothing of the bytes in der.
func parsePrivate(der []byte) (crypto.Signer, error) {
	var whole asn1.RawValue // crypto/x509 ignores what follows the key
	rest, err := asn1.Unmarshal(der, &whole)
	if err != nil || len(rest) > 0 {
		return nil, errNotPKCS8
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errNotPKCS8
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("holds a %T, which cannot sign", key)
	}
	return signer, nil
}
