package pqc

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// keyType is "kty" of all our keys (RFC 9964, section 3). Such a key names its
// algorithm, and no other may be used with it.
const keyType = "AKP"

// maxJWK bounds what is read, in octets. The greatest key takes 3.6 k; the rest is
// room for a certificate chain that we do not read.
const maxJWK = 64 << 10

type jwk struct {
	Alg  string `json:"alg"`
	Kty  string `json:"kty"`
	Priv string `json:"priv,omitempty"`
	Pub  string `json:"pub"`
}

// JWK returns the public key as a JSON Web Key with the members alg, kty and pub,
// in this order and without white space: also the input of RFC 7638.
func (k *PublicKey) JWK() ([]byte, error) {
	return marshalJWK(k, nil)
}

// PrivateJWK returns the private key as a JSON Web Key; priv is the raw private
// key, for ML-DSA the seed (RFC 9964, section 4). The caller now holds a secret.
func (k *PrivateKey) PrivateJWK() ([]byte, error) {
	raw, err := k.Bytes()
	if err != nil {
		return nil, err
	}
	return marshalJWK(k.pub, raw)
}

func marshalJWK(k *PublicKey, priv []byte) ([]byte, error) {
	if k.alg.JOSE() == "" {
		return nil, fmt.Errorf("%v has no JOSE algorithm here", k.alg)
	}
	return json.Marshal(jwk{
		Alg: k.alg.JOSE(), Kty: keyType,
		Priv: strict.ToBase64(priv), Pub: strict.ToBase64(k.raw),
	})
}

// Thumbprint returns the JWK thumbprint with SHA-256 (RFC 7638; the members are
// alg, kty and pub, RFC 9964, section 6) in base64url.
func (k *PublicKey) Thumbprint() (string, error) {
	b, err := k.JWK()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return strict.ToBase64(sum[:]), nil
}

// VerifyJWS reports whether sig is the key's signature of a JWS signing input
// (ASCII of header, dot and payload; RFC 7515, section 5.2). alg is what the header
// says: it must be the key's own.
func (k *PublicKey) VerifyJWS(alg string, input, sig []byte) bool {
	return alg != "" && alg == k.alg.JOSE() && k.Verify(input, sig)
}

// ParseJWK reads a public JSON Web Key of kty AKP. alg and pub are required. Members
// that this package knows must appear once and be well formed; others are ignored (RFC
// 7517, section 4). A private key is refused: it should not be here.
func ParseJWK(b []byte) (*PublicKey, error) {
	m, err := readJWK(b)
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	if m.Has("priv") {
		return nil, errors.New("JWK: a private key stands where a public key is expected")
	}
	return m.publicKey("verify")
}

// ParsePrivateJWK reads a private JSON Web Key of kty AKP: as ParseJWK, with priv,
// which must be the private key of pub.
func ParsePrivateJWK(b []byte) (*PrivateKey, error) {
	m, err := readJWK(b)
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	pub, err := m.publicKey("sign")
	if err != nil {
		return nil, err
	}
	raw, err := m.Octets("priv")
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	k, err := NewPrivateKey(pub.alg, raw)
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	if !k.pub.Equal(pub) {
		return nil, errors.New("JWK: pub and priv are of different keys")
	}
	return k, nil
}
