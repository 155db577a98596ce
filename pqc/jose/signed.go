package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// A Signed is a JWS whose form was checked, but not its signature.
type Signed struct {
	Header    strict.Object // the protected one
	Algorithm string        // alg of the header; "" if it is absent, which fits no key
	Payload   []byte
	Signature []byte
	Input     []byte // what the signature is over (section 2, JWS Signing Input)
}

// ParseCompact reads a JWS in compact serialization (section 7.1).
func ParseCompact(text string) (*Signed, error) {
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 {
		return nil, errors.New("want a compact JWS: three parts with dots between them")
	}
	return Parse(parts[0], parts[1], parts[2])
}

// Parse reads a JWS from its three parts in base64url, as the JSON serialization
// has them (section 7.2). It refuses a header with crit, since it knows no
// extension (section 4.1.11), and one with b64, which changes what is signed
// (RFC 7797), with or without crit.
func Parse(protected, payload, signature string) (*Signed, error) {
	s := &Signed{Input: []byte(protected + "." + payload)}
	header, err := strict.Base64(protected)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if s.Payload, err = strict.Base64(payload); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if s.Signature, err = strict.Base64(signature); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if s.Header, err = strict.ParseObject(header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	for _, name := range []string{"crit", "b64"} {
		if s.Header.Has(name) {
			return nil, fmt.Errorf("header: %s asks for an extension, and none is known here", name)
		}
	}
	if s.Header.Has("alg") {
		if s.Algorithm, err = s.Header.Text("alg"); err != nil || s.Algorithm == "" {
			return nil, errors.New("header: alg must be a string")
		}
	}
	return s, nil
}

// Verify reports whether the key has made the signature.
func (s *Signed) Verify(public crypto.PublicKey) bool {
	return Verify(public, s.Algorithm, s.Input, s.Signature)
}

// Verify reports whether signature is the key's signature of input by an
// algorithm that fits the key.
func Verify(public crypto.PublicKey, alg string, input, signature []byte) bool {
	if !Fits(public, alg) {
		return false
	}
	switch k := public.(type) {
	case *pqc.PublicKey:
		return k.VerifyJWS(alg, input, signature)
	case *ecdsa.PublicKey: // r and s, each as long as the curve's order (RFC 7518, section 3.4)
		size := (k.Curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(k, digest(alg, input), r, s)
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, input, signature)
	case *rsa.PublicKey:
		if strings.HasPrefix(alg, "PS") { // with a salt as long as the hash (RFC 7518, section 3.5)
			return rsa.VerifyPSS(k, hashes[alg], digest(alg, input), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(k, hashes[alg], digest(alg, input), signature) == nil
	}
	return false
}

func digest(alg string, input []byte) []byte {
	h := hashes[alg].New()
	h.Write(input)
	return h.Sum(nil)
}
