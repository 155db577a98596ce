package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/brevet-ca/brevet/pqc"
)

// An Algorithm is how a key signs. It is one of the three below; or one of package
// pqc, by its name on command lines; or a classical one, "+" and the name of an
// ML-DSA, such as "ecdsa-p256+mldsa65". The last kind is for an issuer that gives
// each of its classical signatures an alternative one (ITU-T X.509 (2019), 9.8). Such
// a key has two halves.
type Algorithm string

const (
	ECDSAP256 Algorithm = "ecdsa-p256"
	ECDSAP384 Algorithm = "ecdsa-p384"
	Ed25519   Algorithm = "ed25519"
)

// Algorithms returns the classical algorithms.
func Algorithms() []Algorithm { return []Algorithm{ECDSAP256, ECDSAP384, Ed25519} }

// PostQuantum returns the algorithms of package pqc.
func PostQuantum() []Algorithm {
	var all []Algorithm
	for _, a := range pqc.Algorithms() {
		all = append(all, Algorithm(a.Flag()))
	}
	return all
}

// ParseAlgorithm returns the algorithm that is spelled s.
func ParseAlgorithm(s string) (Algorithm, error) {
	first, second, two := strings.Cut(s, "+")
	if !two {
		if a, err := oneOf("algorithm", s, Algorithms()); err == nil {
			return a, nil
		}
		if a, err := oneOf("algorithm", s, PostQuantum()); err == nil {
			return a, nil
		}
	} else if _, err := oneOf("algorithm", first, Algorithms()); err == nil {
		if a, err := pqc.ParseAlgorithm(second); err == nil && a.Flag() == second && !a.Composite() {
			return Algorithm(s), nil
		}
	}
	return "", fmt.Errorf("%w algorithm %.80q: want ecdsa-p256, ecdsa-p384 or ed25519; one of those with +mldsa44, +mldsa65 or +mldsa87 for an alternative signature; mldsa44, mldsa65 or mldsa87; or a composite such as %s (brevet init --help lists them)",
		ErrInvalid, s, pqc.MLDSA65ECDSAP256SHA512.Flag())
}

// Classical reports whether everybody can verify signatures of such a key. If the
// key has an alternative half, its classical signatures suffice.
func (a Algorithm) Classical() bool {
	first, _ := a.halves()
	_, err := oneOf("algorithm", string(first), Algorithms())
	return err == nil
}

// Alternative returns the algorithm of the second half of a key, or "".
func (a Algorithm) Alternative() Algorithm {
	_, second := a.halves()
	return second
}

func (a Algorithm) halves() (first, second Algorithm) {
	one, two, _ := strings.Cut(string(a), "+")
	return Algorithm(one), Algorithm(two)
}

// An AlternativeSigner is a key of two halves. As a crypto.Signer it is the
// classical one alone. The public half of the other is a *pqc.PublicKey.
type AlternativeSigner struct {
	crypto.Signer
	Alternative crypto.Signer
}

func (a Algorithm) generate() (crypto.Signer, error) {
	first, second := a.halves()
	if second != "" {
		return generatePair(first, second)
	}
	switch a {
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	if _, err := ParseAlgorithm(string(a)); err != nil {
		return nil, err
	}
	alg, err := pqc.ParseAlgorithm(string(a))
	if err != nil {
		return nil, err
	}
	return pqc.GenerateKey(alg)
}

func generatePair(first, second Algorithm) (crypto.Signer, error) {
	if _, err := ParseAlgorithm(string(first + "+" + second)); err != nil {
		return nil, err
	}
	classical, err := first.generate()
	if err != nil {
		return nil, err
	}
	alternative, err := second.generate()
	if err != nil {
		return nil, err
	}
	return AlternativeSigner{classical, alternative}, nil
}

// algorithmOf returns the algorithm of a DER SubjectPublicKeyInfo.
func algorithmOf(spki []byte) (Algorithm, error) {
	pq, err := pqc.ParsePKIXPublicKey(spki)
	if err == nil {
		return Algorithm(pq.Algorithm().Flag()), nil
	}
	if !errors.Is(err, pqc.ErrUnknownAlgorithm) {
		return "", fmt.Errorf("%w: its public key cannot be read: %v", ErrInvalid, err)
	}
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
