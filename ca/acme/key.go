package acme

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// A key is a public key that requests are signed with.
type key struct {
	public     crypto.PublicKey
	jwk        []byte // canonical (RFC 7638, section 3)
	spki       []byte // DER
	thumbprint string // base64url of the SHA-256 of jwk (RFC 7638)
	alg        string // the only algorithm it may be used with
}

// parseKey reads a JWK (RFC 7517). It must be a public key that is not weak. There is
// one way to write a key, so each key has one thumbprint.
func parseKey(jwk []byte) (*key, error) {
	k, err := parseUnchecked(jwk)
	if err != nil {
		return nil, err
	}
	return k, k.check()
}

// readKey reads the key that came with a request, and verifies that it made the signature.
// Whether an RSA key is weak is found out last: it takes ten times as long as a
// verification, so it is only done for those who have the private key.
func (s *Service) readKey(r *request, j *jws) (err error) {
	if r.key, err = parseUnchecked(j.header.jwk); err != nil {
		return err
	}
	if err := j.verify(r.key); err != nil {
		return err
	}
	return r.key.check()
}

// parseUnchecked is parseKey for a key that may be a weak RSA key, though none of a size
// that would make a verification slow.
func parseUnchecked(jwk []byte) (*key, error) {
	if _, err := strict.ParseObject(jwk); err != nil {
		return nil, newProblem("malformed", "jwk is not one JSON object whose members are all different")
	}
	read, err := jose.ParseKey(jwk)
	if errors.Is(err, jose.ErrSecret) {
		return nil, newProblem("badPublicKey", "jwk holds a private or symmetric key, which nobody else may see: make another")
	}
	if err != nil {
		return nil, newProblem("badPublicKey", "%v", err)
	}
	k, err := newKey(read.Public)
	if err != nil {
		return nil, err
	}
	if !jose.Same(read.Algorithm, k.alg) { // an RSA key for anything but RS256
		return nil, newProblem("badPublicKey", "by its alg, jwk is not a key for signatures of %s", k.alg)
	}
	return k, nil
}

// check refuses weak keys.
func (k *key) check() error {
	if err := agents.CheckKey(k.public); err != nil {
		return newProblem("badPublicKey", "%v", err)
	}
	return nil
}

func newKey(public crypto.PublicKey) (*key, error) {
	k := &key{public: public}
	check := agents.CheckKey
	if _, ok := public.(*rsa.PublicKey); ok { // the rest takes time
		check = agents.CheckKeySize
	}
	err := check(public)
	if err != nil {
		return nil, newProblem("badPublicKey", "%v", err)
	}
	if k.alg, err = jose.Algorithm(public); err != nil || !slices.Contains(algorithms, k.alg) {
		return nil, newProblem("badPublicKey", "want a key of the kind EC, OKP (Ed25519) or RSA")
	}
	if k.jwk, err = jose.Canonical(public); err != nil {
		return nil, err
	}
	if k.spki, err = x509.MarshalPKIXPublicKey(public); err != nil {
		return nil, err
	}
	k.thumbprint = thumbprint(k.jwk)
	return k, nil
}

func thumbprint(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return strict.ToBase64(sum[:])
}

// checkAlgorithm refuses algorithms that requests must not be signed with (RFC 8555,
// section 6.2).
func checkAlgorithm(alg string) error {
	if slices.Contains(algorithms, alg) {
		return nil
	}
	p := newProblem("badSignatureAlgorithm", "alg %.20q is not one that requests are signed with here", alg)
	p.algorithms = algorithms
	return p
}
