package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"time"

	"github.com/brevet-ca/brevet/pqc"
)

// NewKey returns the record, in no state yet, of a key that was made just now.
func NewKey(p Purpose, private crypto.Signer, now time.Time) (Key, error) {
	public, err := marshalPublic(private.Public())
	if err != nil {
		return Key{}, err
	}
	return OfPublic(p, public, marshalAlternative(private), now)
}

// OfPublic returns the record, in no state yet, of a key of which the public halves are
// known: the DER SubjectPublicKeyInfo, and that of the alternative half or nil.
func OfPublic(p Purpose, spki, alternative []byte, now time.Time) (Key, error) {
	if err := p.check(); err != nil {
		return Key{}, err
	}
	k := Key{Public: spki, Alternative: alternative}
	a, err := k.algorithm()
	if err != nil {
		return Key{}, err
	}
	return newKey(p, a, spki, alternative, now)
}

// Fits reports whether private is the private half of k.
func (k Key) Fits(private crypto.Signer) bool {
	public, err := marshalPublic(private.Public())
	return err == nil && bytes.Equal(public, k.Public) && bytes.Equal(marshalAlternative(private), k.Alternative)
}

func marshalPublic(k crypto.PublicKey) ([]byte, error) {
	if pq, ok := k.(*pqc.PublicKey); ok {
		return pqc.MarshalPKIXPublicKey(pq), nil
	}
	return x509.MarshalPKIXPublicKey(k)
}

// marshalAlternative returns the public key of the second half of a key, or nil.
func marshalAlternative(k crypto.Signer) []byte {
	two, ok := k.(AlternativeSigner)
	if !ok {
		return nil
	}
	public, ok := two.Alternative.Public().(*pqc.PublicKey)
	if !ok {
		return nil // which fits no record of a key with two halves
	}
	return pqc.MarshalPKIXPublicKey(public)
}
