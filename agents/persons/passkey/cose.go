package passkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"github.com/brevet-ca/brevet/pqc/keycheck"
)

// Algorithms are those that are asked for, by their numbers in COSE (RFC 9053, section 2;
// RFC 8812, section 2), the preferred first.
var Algorithms = []int{es256, edDSA, rs256}

const (
	es256 = -7
	edDSA = -8
	rs256 = -257
)

// A coseKey has the members of all kinds of keys (RFC 9052, section 7; RFC 9053, section
// 7; RFC 8230, section 4). The label -1 is a curve, or the modulus of an RSA key.
type coseKey struct {
	Kind      int    `cbor:"1,keyasint"`
	Algorithm int    `cbor:"3,keyasint"`
	Curve     any    `cbor:"-1,keyasint"`
	X         []byte `cbor:"-2,keyasint"` // the exponent of an RSA key
	Y         []byte `cbor:"-3,keyasint"`
}

// parseKey returns a key of one of Algorithms that is not known to be weak.
func parseKey(text []byte) (crypto.PublicKey, error) {
	var k coseKey
	if err := cborForm.Unmarshal(text, &k); err != nil {
		return nil, errors.New("the key cannot be read as COSE")
	}
	public, err := k.public()
	if err == nil {
		err = keycheck.Agents.Check(public)
	}
	if err != nil {
		return nil, fmt.Errorf("the key cannot be used: %w", err)
	}
	return public, nil
}

func (k coseKey) public() (crypto.PublicKey, error) {
	curve, _ := k.Curve.(int64)
	modulus, _ := k.Curve.([]byte)
	switch {
	case k.Kind == 2 && k.Algorithm == es256 && curve == 1 && len(k.X) == 32 && len(k.Y) == 32:
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, k.X...), k.Y...))
	case k.Kind == 1 && k.Algorithm == edDSA && curve == 6 && len(k.X) == ed25519.PublicKeySize:
		return ed25519.PublicKey(k.X), nil
	case k.Kind == 3 && k.Algorithm == rs256 && len(modulus) > 0 && len(k.X) > 0 && len(k.X) <= 4:
		e := new(big.Int).SetBytes(k.X)
		return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e.Int64())}, nil
	}
	return nil, fmt.Errorf("it is of kind %d and algorithm %d: want ES256, EdDSA or RS256", k.Kind, k.Algorithm)
}
