package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"

	"github.com/brevet-ca/brevet/pqc"
)

// SignMessage signs a message with all halves of a key, in their order. The message must be
// no DER SEQUENCE, so that nobody takes it for a certificate or a CRL, and must begin with
// words that nothing else signed by the key begins with.
func SignMessage(private crypto.Signer, message []byte) ([][]byte, error) {
	halves := []crypto.Signer{private}
	if two, ok := private.(AlternativeSigner); ok {
		halves = []crypto.Signer{two.Signer, two.Alternative}
	}
	var signatures [][]byte
	for _, half := range halves {
		digest, hash := message, crypto.Hash(0)
		if public, ok := half.Public().(*ecdsa.PublicKey); ok {
			digest, hash = digestFor(public, message)
		}
		sig, err := half.Sign(rand.Reader, digest, hash)
		if err != nil {
			return nil, err
		}
		signatures = append(signatures, sig)
	}
	return signatures, nil
}

// digestFor hashes a message for an ECDSA key as X.509 and JWS do: P-384 with SHA-384.
func digestFor(k *ecdsa.PublicKey, message []byte) ([]byte, crypto.Hash) {
	if k.Curve == elliptic.P384() {
		sum := sha512.Sum384(message)
		return sum[:], crypto.SHA384
	}
	sum := sha256.Sum256(message)
	return sum[:], crypto.SHA256
}

// VerifyMessage reports whether the half of a key with this SubjectPublicKeyInfo made one of
// the signatures of [SignMessage].
func VerifyMessage(spki, message, sig []byte) bool {
	if pq, err := pqc.ParsePKIXPublicKey(spki); err == nil {
		return pq.Verify(message, sig)
	}
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return false
	}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		digest, _ := digestFor(k, message)
		return ecdsa.VerifyASN1(k, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, sig)
	}
	return false
}
