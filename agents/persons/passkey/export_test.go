package passkey

import (
	"crypto/x509"

	"github.com/fxamacker/cbor/v2"
)

// Attested returns the key in an attestation object of any format, whose statement it does not
// look at.
func Attested(object []byte) (Key, error) {
	var o struct {
		Said []byte `cbor:"authData"`
	}
	if err := cbor.Unmarshal(object, &o); err != nil {
		return Key{}, err
	}
	d, err := parseData(o.Said)
	if err != nil {
		return Key{}, err
	}
	public, err := parseKey(d.public)
	if err != nil {
		return Key{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	return Key{ID: d.id, Public: spki, Count: d.count, Synced: d.flags&backupEligible != 0}, err
}

// CheckSignature is for assertions that are refused for something else.
func (k Key) CheckSignature(a Assertion) error { return k.checkSignature(a) }
