package passkey

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

const (
	maxAttestation = 8 << 10 // octets; an RSA key has room in it
	maxID          = 1023    // octets of a credential ID (section 7.1, step 25)
	maxSigned      = 2 << 10 // octets of authenticator data without a key; extensions have room in it
)

// Flags of authenticator data (section 6.1).
const (
	userPresent    = 1 << 0
	userVerified   = 1 << 2
	backupEligible = 1 << 3
	backedUp       = 1 << 4
	hasKey         = 1 << 6
	hasExtensions  = 1 << 7
)

// A data is what the authenticator says (section 6.1).
type data struct {
	site       [sha256.Size]byte // the hash of the relying party ID
	flags      byte
	count      uint32
	id, public []byte // of the credential; the key in COSE
}

// cborForm is the canonical CBOR of CTAP2 as far as it matters here: no map has a key
// twice, and nothing has an open end or a tag.
var cborForm = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 4, MaxArrayElements: 16, MaxMapPairs: 16, IntDec: cbor.IntDecConvertSignedOrFail,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// attested reads an attestation object (section 6.5.4) of format "none", the one that is
// asked for.
func attested(text []byte) (data, error) {
	if len(text) > maxAttestation {
		return data{}, fmt.Errorf("the attestation has more than %d octets", maxAttestation)
	}
	var o map[string]cbor.RawMessage
	var format string
	var statement map[string]cbor.RawMessage
	var said []byte
	err := cborForm.Unmarshal(text, &o)
	for name, to := range map[string]any{"fmt": &format, "attStmt": &statement, "authData": &said} {
		if err == nil {
			err = cborForm.Unmarshal(o[name], to)
		}
	}
	switch {
	case err != nil || len(o) != 3:
		return data{}, errors.New("the attestation object cannot be read")
	case format != "none" || len(statement) != 0:
		return data{}, fmt.Errorf("the attestation is of format %.20q, want \"none\"", format)
	}
	return parseData(said)
}

// parseData reads authenticator data that has a key.
func parseData(b []byte) (d data, err error) {
	const fixed = sha256.Size + 1 + 4 + 16 + 2 // with the AAGUID and the length of the ID
	if len(b) < fixed {
		return d, errors.New("the authenticator data is too short")
	}
	d.readHead(b)
	n := int(binary.BigEndian.Uint16(b[53:]))
	if d.flags&hasKey == 0 || n == 0 || n > maxID || len(b) < fixed+n {
		return d, errors.New("the authenticator data has no credential, or one with a bad ID")
	}
	d.id = b[fixed : fixed+n]
	var key, extensions cbor.RawMessage
	rest, err := cborForm.UnmarshalFirst(b[fixed+n:], &key)
	if err == nil && d.flags&hasExtensions != 0 {
		rest, err = cborForm.UnmarshalFirst(rest, &extensions)
	}
	if err != nil || len(rest) > 0 {
		return d, errors.New("the authenticator data does not end with a key in COSE and its extensions")
	}
	d.public = key
	return d, nil
}

// headSize is how many octets all authenticator data begins with: the hash of the relying party
// ID, the flags and the count.
const headSize = sha256.Size + 1 + 4

// readHead reads what all authenticator data begins with.
func (d *data) readHead(b []byte) {
	copy(d.site[:], b)
	d.flags, d.count = b[sha256.Size], binary.BigEndian.Uint32(b[sha256.Size+1:])
}

// parseSigned reads authenticator data that has no key, as that of assertions.
func parseSigned(b []byte) (d data, err error) {
	if len(b) < headSize || len(b) > maxSigned {
		return d, fmt.Errorf("the authenticator data has %d octets, want %d to %d", len(b), headSize, maxSigned)
	}
	d.readHead(b)
	if d.flags&hasKey != 0 {
		return d, errors.New("the authenticator data has a key, which belongs to a registration")
	}
	rest := b[headSize:]
	if d.flags&hasExtensions != 0 {
		var extensions map[string]cbor.RawMessage
		if rest, err = cborForm.UnmarshalFirst(rest, &extensions); err != nil {
			return d, errors.New("the extensions of the authenticator data cannot be read")
		}
	}
	if len(rest) > 0 {
		return d, errors.New("something follows the authenticator data")
	}
	return d, nil
}

// check returns nil if the authenticator did it for a site and a person that it verified.
func (d data) check(site [sha256.Size]byte) error {
	switch {
	case d.site != site:
		return errors.New("the authenticator made it for another site")
	case d.flags&userPresent == 0 || d.flags&userVerified == 0:
		return errors.New("the authenticator did not verify the person: set a PIN or a biometric for it")
	case d.flags&backedUp != 0 && d.flags&backupEligible == 0:
		return errors.New("the flags of the authenticator data contradict each other")
	}
	return nil
}

// key returns the key, if the authenticator made it for a site and a person that it
// verified.
func (d data) key(site [sha256.Size]byte) (Key, error) {
	if err := d.check(site); err != nil {
		return Key{}, err
	}
	public, err := parseKey(d.public)
	if err != nil {
		return Key{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: d.id, Public: spki, Count: d.count, Synced: d.flags&backupEligible != 0}, nil
}
