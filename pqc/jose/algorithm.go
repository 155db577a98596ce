package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/pqc"
)

// The classical algorithms (RFC 7518, section 3.1; RFC 8037, section 3.1; RFC 9864,
// section 2.2: Ed25519 is the new name of EdDSA with such a key).
const (
	ES256 = "ES256"
	ES384 = "ES384"
	ES512 = "ES512"
	EdDSA = "EdDSA"
	RS256 = "RS256"
	RS384 = "RS384"
	RS512 = "RS512"
	PS256 = "PS256"
	PS384 = "PS384"
	PS512 = "PS512"

	Ed25519 = "Ed25519"
)

// hashes are the hash functions of the classical algorithms. EdDSA takes the
// message itself.
var hashes = map[string]crypto.Hash{
	ES256: crypto.SHA256, ES384: crypto.SHA384, ES512: crypto.SHA512,
	RS256: crypto.SHA256, RS384: crypto.SHA384, RS512: crypto.SHA512,
	PS256: crypto.SHA256, PS384: crypto.SHA384, PS512: crypto.SHA512,
}

// rsaAlgorithms are the algorithms that an RSA key may be used with. Unlike all other
// kinds, an RSA key does not determine the hash or the padding.
var rsaAlgorithms = []string{RS256, RS384, RS512, PS256, PS384, PS512}

// Classical returns the names of the classical algorithms that [Verify] knows.
func Classical() []string {
	return append([]string{ES256, ES384, ES512, EdDSA, Ed25519}, rsaAlgorithms...)
}

// PostQuantum returns the names of the algorithms of package pqc that have one
// in JOSE.
func PostQuantum() (names []string) {
	for _, a := range pqc.Algorithms() {
		if a.JOSE() != "" {
			names = append(names, a.JOSE())
		}
	}
	return names
}

// Algorithm returns the one algorithm that a public key is used with (RFC 7518,
// section 3.4; RFC 8037, section 3.1; RFC 9964, section 3). For RSA it is RS256,
// unless something that belongs to the key names another one: see [Key].
func Algorithm(public crypto.PublicKey) (string, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ES256, nil
		case elliptic.P384():
			return ES384, nil
		case elliptic.P521():
			return ES512, nil
		}
		return "", fmt.Errorf("ECDSA keys on the curve %s have no algorithm in JOSE here", k.Curve.Params().Name)
	case ed25519.PublicKey:
		return EdDSA, nil
	case *rsa.PublicKey:
		return RS256, nil
	case *pqc.PublicKey:
		if alg := k.Algorithm().JOSE(); alg != "" {
			return alg, nil
		}
		return "", fmt.Errorf("%s has no name in JOSE here", k.Algorithm())
	}
	return "", fmt.Errorf("keys of type %T have no algorithm in JOSE here", public)
}

// Fits reports whether a key may be used with an algorithm: its own, under each of its
// names, or for RSA any of the six.
func Fits(public crypto.PublicKey, alg string) bool {
	if _, ok := public.(*rsa.PublicKey); ok {
		return slices.Contains(rsaAlgorithms, alg)
	}
	own, err := Algorithm(public)
	return err == nil && Same(own, alg)
}

// Same reports whether two names are of one algorithm. Only Ed25519 has two.
func Same(a, b string) bool {
	return a == b || (a == EdDSA || a == Ed25519) && (b == EdDSA || b == Ed25519)
}
