package audit

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// A Verifier checks the signatures of one key. The alias spares other packages the
// import.
type Verifier = note.Verifier

// A Signer signs checkpoints of the log named by its origin, and verifies
// them: it is a note.Signer and a [Verifier].
type Signer struct {
	Verifier
	key crypto.Signer
}

// NewSigner makes a signer from an Ed25519 key, which may live in hardware.
// The origin is the permanent name of the log and should be a URL without a scheme,
// such as "example.com/audit".
func NewSigner(origin string, key crypto.Signer) (*Signer, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("checkpoints of %s are signed with Ed25519, not with a %T", origin, key.Public())
	}
	v, err := NewVerifier(origin, public)
	if err != nil {
		return nil, err
	}
	return &Signer{v, key}, nil
}

// Sign signs msg (https://c2sp.org/signed-note, signature type 0x01).
func (s *Signer) Sign(msg []byte) ([]byte, error) {
	sig, err := s.key.Sign(nil, msg, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	if !s.Verify(msg, sig) {
		return nil, errors.New("the key made a signature that does not verify")
	}
	return sig, nil
}

// NewVerifier returns a verifier for a log's key. note.NewEd25519VerifierKey writes the
// key as text, for people and other tools.
func NewVerifier(origin string, key ed25519.PublicKey) (Verifier, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return nil, fmt.Errorf("verifying checkpoints of %q: %w", origin, err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("verifying checkpoints of %q (an origin has no spaces and no plus): %w", origin, err)
	}
	return v, nil
}
