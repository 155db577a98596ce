package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

var (
	// ErrAssertion says that what a browser answered does not show that a person approved
	// anything. The reason follows it.
	ErrAssertion = errors.New("invalid assertion")
	// ErrCount says that the authenticator has counted fewer signatures than are on record: there
	// may be a copy of it.
	ErrCount = fmt.Errorf("%w: the authenticator counts fewer signatures than before, so there may be a copy of it", ErrAssertion)
)

// An Assertion is what a browser answers to navigator.credentials.get.
type Assertion struct {
	ID         []byte // of the credential
	ClientData []byte // JSON
	Data       []byte // of the authenticator
	Signature  []byte
	User       []byte // the user handle; none if the authenticator gives none
}

// maxSignature is the longest signature that is looked at, in octets: that of an RSA key of
// 8192 bits.
const maxSignature = 1 << 10

// Challenge returns the challenge that an assertion claims to answer, for the caller to look up.
// Only [Site.Verify] shows that it does.
func (a Assertion) Challenge() ([]byte, error) {
	said, err := parseClient(a.ClientData)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAssertion, err)
	}
	challenge, err := strict.Base64(said.challenge)
	if err != nil {
		return nil, fmt.Errorf("%w: its challenge cannot be read", ErrAssertion)
	}
	return challenge, nil
}

// Verify returns the key of a person, as it is to be recorded then, if the person answered a
// challenge of at least 16 octets with it (section 7.2). user is the handle that the key was
// registered with. The caller looks up the key by the ID of the assertion, and takes each
// challenge once. All errors are [ErrAssertion].
//
// The person must have been verified, as at the registration. An authenticator that has ever
// counted must count on (step 22): the specification leaves that to us.
func (s Site) Verify(challenge, user []byte, k Key, a Assertion) (Key, error) {
	d, err := s.verify(challenge, user, k, a)
	if err == nil && (d.count != 0 || k.Count != 0) && d.count <= k.Count {
		return Key{}, ErrCount
	}
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrAssertion, err)
	}
	k.Count = d.count
	return k, nil
}

// verify does all but the count.
func (s Site) verify(challenge, user []byte, k Key, a Assertion) (d data, err error) {
	switch {
	case len(k.ID) == 0 || !bytes.Equal(a.ID, k.ID):
		return d, errors.New("it is by another passkey")
	case len(a.User) > 0 && !bytes.Equal(a.User, user):
		return d, errors.New("the authenticator made it for another person")
	}
	if err := s.checkClient(a.ClientData, "webauthn.get", challenge); err != nil {
		return d, err
	}
	if d, err = parseSigned(a.Data); err != nil {
		return d, err
	}
	if err := d.check(sha256.Sum256([]byte(s.ID))); err != nil {
		return d, err
	}
	if synced := d.flags&backupEligible != 0; synced != k.Synced {
		return d, errors.New("the authenticator says something else than before of whether the passkey may be copied")
	}
	return d, k.checkSignature(a)
}

// checkSignature checks the signature over what the authenticator and the browser say (section
// 7.2, steps 20 and 21).
func (k Key) checkSignature(a Assertion) error {
	if len(a.Signature) > maxSignature {
		return fmt.Errorf("the signature has more than %d octets", maxSignature)
	}
	public, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil {
		return errors.New("the passkey on record cannot be read")
	}
	hash := sha256.Sum256(a.ClientData)
	signed := append(bytes.Clone(a.Data), hash[:]...)
	digest := sha256.Sum256(signed)
	valid := false
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(public, digest[:], a.Signature)
	case ed25519.PublicKey:
		valid = ed25519.Verify(public, signed, a.Signature)
	case *rsa.PublicKey:
		valid = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], a.Signature) == nil
	}
	if !valid {
		return errors.New("the signature is not by this passkey")
	}
	return nil
}
