package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// A Key is a public JSON Web Key for signatures (RFC 7517).
type Key struct {
	ID        string // kid; "" if it has none
	Algorithm string // the one that it is used with
	Public    crypto.PublicKey
}

// ErrSecret says that a JWK holds a private or symmetric key.
var ErrSecret = errors.New("a private or secret key stands where a public key is expected")

// secret are the members that only private and symmetric keys have (RFC 7518,
// sections 6.2.2, 6.3.2 and 6.4; RFC 8037, section 2; RFC 9964, section 3).
var secret = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// ParseKey reads a public JWK of kty EC, OKP, RSA or AKP, written in the one way
// that RFC 7518, section 6, RFC 8037, section 2, and RFC 9964, section 3, allow:
// so one key has one thumbprint. The members use, key_ops and alg, where they
// stand, must say that the key verifies signatures of an algorithm that fits it
// (RFC 7517, section 4). Certificates in a JWK and other members are ignored.
// On an error the Key has the ID if that could be read.
func ParseKey(jwk []byte) (Key, error) {
	var k Key
	o, err := strict.ParseObject(jwk)
	if err != nil {
		return k, fmt.Errorf("JWK: %w", err)
	}
	if err := o.Present().Read(map[string]any{"kid": &k.ID}); err != nil {
		return k, fmt.Errorf("JWK: %w", err)
	}
	if slices.ContainsFunc(secret, o.Has) {
		return k, fmt.Errorf("JWK: %w", ErrSecret)
	}
	if k.Public, err = readPublic(o, jwk); err != nil {
		return k, fmt.Errorf("JWK: %w", err)
	}
	if k.Algorithm, err = Algorithm(k.Public); err != nil {
		return k, fmt.Errorf("JWK: %w", err)
	}
	return k, k.readUse(o)
}

// readUse reads what the key is for.
func (k *Key) readUse(o strict.Object) error {
	alg, use, operations := k.Algorithm, "sig", []string{"verify"}
	if err := o.Present().Read(map[string]any{"alg": &alg, "use": &use, "key_ops": &operations}); err != nil {
		return fmt.Errorf("JWK: %w", err)
	}
	if use != "sig" || !slices.Contains(operations, "verify") {
		return errors.New("JWK: the key is not for verifying signatures")
	}
	if !Fits(k.Public, alg) {
		return fmt.Errorf("JWK: the key is for %.40q, such a key can be for %s", alg, k.Algorithm)
	}
	k.Algorithm = alg
	return nil
}

func readPublic(o strict.Object, jwk []byte) (crypto.PublicKey, error) {
	kty, err := o.Text("kty")
	if err != nil {
		return nil, err
	}
	switch kty {
	case "AKP":
		return pqc.ParseJWK(jwk)
	case "EC":
		return readEC(o)
	case "OKP":
		return readOKP(o)
	case "RSA":
		return readRSA(o)
	}
	return nil, fmt.Errorf("the kty %.40q is not EC, OKP, RSA or AKP", kty)
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// readEC reads a point. Its coordinates have the full length (RFC 7518, section
// 6.2.1.2).
func readEC(o strict.Object) (crypto.PublicKey, error) {
	name, err := o.Text("crv")
	curve, ok := curves[name]
	if err != nil || !ok {
		return nil, errors.New("want the curve P-256, P-384 or P-521")
	}
	size := (curve.Params().BitSize + 7) / 8
	x, err1 := o.Octets("x")
	y, err2 := o.Octets("y")
	if err1 != nil || err2 != nil || len(x) != size || len(y) != size {
		return nil, fmt.Errorf("want x and y of %d octets", size)
	}
	k, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, err
	}
	return k, nil
}

// readOKP reads an Ed25519 key (RFC 8037, section 2).
func readOKP(o strict.Object) (crypto.PublicKey, error) {
	name, err1 := o.Text("crv")
	x, err2 := o.Octets("x")
	if err1 != nil || err2 != nil || name != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("want an x of %d octets on the curve Ed25519", ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(x), nil
}

// readRSA reads n and e, which have no leading zeros (RFC 7518, section 2,
// Base64urlUInt). crypto/rsa takes exponents of at most 31 bits.
func readRSA(o strict.Object) (crypto.PublicKey, error) {
	n, err1 := o.Octets("n")
	e, err2 := o.Octets("e")
	if err1 != nil || err2 != nil || len(n) == 0 || len(e) == 0 || n[0] == 0 || e[0] == 0 {
		return nil, errors.New("want n and e as numbers without leading zeros")
	}
	exponent := new(big.Int).SetBytes(e)
	if exponent.BitLen() > 31 {
		return nil, errors.New("its exponent has more than 31 bits")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

// Canonical returns the JWK of a public key with the required members alone, in
// lexicographic order and without white space: the input of RFC 7638, section 3.
func Canonical(public crypto.PublicKey) ([]byte, error) {
	switch k := public.(type) {
	case *pqc.PublicKey:
		return k.JWK()
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return nil, err
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return fmt.Appendf(nil, `{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k.Params().Name, strict.ToBase64(x), strict.ToBase64(y)), nil
	case ed25519.PublicKey:
		return fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":%q}`, strict.ToBase64(k)), nil
	case *rsa.PublicKey:
		return fmt.Appendf(nil, `{"e":%q,"kty":"RSA","n":%q}`, strict.ToBase64(big.NewInt(int64(k.E)).Bytes()), strict.ToBase64(k.N.Bytes())), nil
	}
	return nil, fmt.Errorf("keys of type %T have no JWK here", public)
}

// Thumbprint returns the SHA-256 JWK thumbprint of a public key in base64url (RFC
// 7638).
func Thumbprint(public crypto.PublicKey) (string, error) {
	b, err := Canonical(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return strict.ToBase64(sum[:]), nil
}

// MarshalJSON returns the key as [Canonical] has it, with alg, kid and use after.
func (k Key) MarshalJSON() ([]byte, error) {
	text, err := Canonical(k.Public)
	if err != nil {
		return nil, err
	}
	more := struct {
		Algorithm string `json:"alg,omitempty"`
		ID        string `json:"kid,omitempty"`
		Use       string `json:"use"`
	}{k.Algorithm, k.ID, "sig"}
	if _, ok := k.Public.(*pqc.PublicKey); ok {
		more.Algorithm = "" // the canonical form has it
	}
	end, err := json.Marshal(more)
	if err != nil {
		return nil, err
	}
	return append(append(text[:len(text)-1], ','), end[1:]...), nil
}
