// Package components checks that a component key of a composite key is used in no
// other key, of the same agent or of another one. An attacker who breaks one key
// breaks half of every composite that shares a component with it
// (draft-ietf-lamps-pq-composite-sigs-19, sections 5.3 and 9.3).
//
// Two parts know the keys. The index, in the store, has the component keys of
// composites that are registered or certified, and all other registered keys. The
// [Census], in memory, has the keys of the certificates on record, so that issuing a
// certificate for a classical key costs one read and no write. [Replace] checks keys
// that are registered, [Key.Certify] a key that is certified; composites need a
// [Clearance] from the Census as well.
//
// The package lies below the registry: package ca shows it the certificates, and a
// holder of registered keys is a string.
package components

import (
	"crypto/sha256"
	"errors"

	"github.com/brevet-ca/brevet/pqc"
)

// A Key says what a public key is made of: the SHA-256 of its SubjectPublicKeyInfo
// and, for a composite, of those that its two component keys would have alone.
type Key struct {
	Whole  [sha256.Size]byte
	Halves [][sha256.Size]byte // nil unless the key is a composite
}

// Of returns the Key of a SubjectPublicKeyInfo.
func Of(spki []byte) (Key, error) {
	pq, err := pqc.ParsePKIXPublicKey(spki)
	if err != nil && !errors.Is(err, pqc.ErrUnknownAlgorithm) {
		return Key{}, err
	}
	return Parsed(spki, pq)
}

// Parsed is [Of] for a caller that has parsed the key. pq is nil for a classical
// key.
func Parsed(spki []byte, pq *pqc.PublicKey) (Key, error) {
	k := Key{Whole: sha256.Sum256(spki)}
	if pq == nil || !pq.Algorithm().Composite() {
		return k, nil
	}
	var err error
	k.Halves, err = pq.ComponentIDs()
	return k, err
}

// ErrShared refuses a key that has a component key in common with another one.
var ErrShared error = shared{}

// shared is a refusal as package policy finds it: an error with a code.
type shared struct{}

func (shared) Error() string {
	return "invalid key: it shares a component of a composite key with another key, here or at another agent; make a fresh one"
}

func (shared) RefusalCode() string { return "invalid" }

// Is makes errors.Is(ErrShared, agents.ErrInvalid) true: the two have the same code.
// This package cannot wrap agents.ErrInvalid because agents imports it.
func (s shared) Is(target error) bool {
	refusal, ok := target.(interface{ RefusalCode() string })
	return ok && refusal.RefusalCode() == s.RefusalCode()
}
