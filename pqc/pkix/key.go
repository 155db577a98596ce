package pkix

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/keycheck"
)

// A key is the public key of a subject: one of pqc, a classical one, or one that
// cannot be used, for the reason err.
type key struct {
	pq        *pqc.PublicKey
	classical crypto.PublicKey
	err       error
}

// parseKey reads a SubjectPublicKeyInfo, of which classical is what crypto/x509 made.
// It fails for a key of ours that is malformed; one of an unknown algorithm may
// stand in a certificate as long as nothing needs to be checked with it.
func parseKey(spki []byte, classical crypto.PublicKey) (key, error) {
	pq, err := pqc.ParsePKIXPublicKey(spki)
	if err == nil {
		return key{pq: pq}, nil
	}
	if !errors.Is(err, pqc.ErrUnknownAlgorithm) {
		return key{}, err
	}
	if classical == nil {
		return key{err: err}, nil
	}
	return key{classical: classical}, nil
}

// check returns what the signature rests on, if it is the key's.
func (k *key) check(s *signed) (Protection, error) {
	if k.err != nil {
		return 0, fmt.Errorf("the public key cannot be used: %w", k.err)
	}
	if k.pq != nil {
		return checkPQ(k.pq, s.identifier, s.tbs, s.signature)
	}
	if err := keycheck.Others.Check(k.classical); err != nil {
		return 0, fmt.Errorf("the public key cannot be used: %w", err)
	}
	alg, ok := classicalAlgorithms[string(s.identifier)]
	if !ok {
		return 0, errors.New("the signature is of an algorithm that is unknown, broken or not the key's")
	}
	// A certificate with nothing but the key is how crypto/x509 lets its algorithms
	// be used. It would take SHA-1, which classicalAlgorithms leaves out.
	c := x509.Certificate{PublicKey: k.classical}
	if err := c.CheckSignature(alg, s.tbs, s.signature); err != nil {
		return 0, fmt.Errorf("the signature does not verify: %w", err)
	}
	return Classical, nil
}

// checkPQ checks that the identifier names the key's own algorithm: another
// composite over the same component keys must not do.
func checkPQ(k *pqc.PublicKey, identifier, message, sig []byte) (Protection, error) {
	alg := k.Algorithm()
	if string(identifier) != string(alg.Identifier()) {
		return 0, fmt.Errorf("the signature names another algorithm than %v, the key's", alg)
	}
	if !k.Verify(message, sig) {
		return 0, fmt.Errorf("the signature of %v does not verify", alg)
	}
	return protectionOf(alg), nil
}
