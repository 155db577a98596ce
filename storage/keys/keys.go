// Package keys keeps the authority's own signing keys: for each [Purpose] the
// active one, the next one prepared, and the retired ones for what they signed.
// The packages that sign with the keys list the purposes and what is done with
// their keys; see [PurposeSpec].
//
// A key is two things. Its record, in the store, says what it is for and in
// which [State] it stands. Its private half lives in a [Source], such as a
// directory of files (package file).
//
// The record authenticates the private half: a Source compares the public key,
// computed again from the private one, and refuses a key that does not fit its
// record. The store itself is trusted: anyone who can write records can make any key
// the active one.
//
// On creation the private half is durable before the record is committed. A crash between
// the two leaves a private half that no record names, which is never read and may be
// deleted. On removal the record says first that the private half is given up ([Discard]),
// then that goes ([Source.Destroy]), and then the record ([Remove]). After a crash, the
// last two may be repeated.
package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A State is where a key stands in its life. It only moves forward.
type State string

const (
	StateNext    State = "next"    // published, so that it is known before it signs
	StateActive  State = "active"  // signs; at most one of each purpose, see [Active]
	StateRetired State = "retired" // signs nothing new; verifies what it signed
)

// A Key is the record of a signing key. It is stored as JSON: fields may be
// added, and none changes its meaning.
type Key struct {
	ID        string    `json:"id"` // the [SubjectKeyID] of Public, in lower-case hexadecimal
	Purpose   Purpose   `json:"purpose"`
	Algorithm Algorithm `json:"algorithm"`
	State     State     `json:"state"`
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`
	Retired   time.Time `json:"retired,omitzero"`
	SignsFrom time.Time `json:"signs_from,omitzero"` // of a CA that is next and is published with its certificate: see [Announce]
	Destroyed time.Time `json:"destroyed,omitzero"`  // from then on, the private half is not used and not missed
	Public    []byte    `json:"public"`              // DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7)

	// Alternative is that of the second half of a key that has two.
	Alternative []byte `json:"alternative,omitempty"`
}

var (
	// ErrInvalid says that a purpose, an algorithm or a record is not valid.
	ErrInvalid = errors.New("invalid key")
	// ErrTransition says that a key cannot be given the state asked for.
	ErrTransition = errors.New("impossible in the key's state")
)

// newKey returns the record, in no state yet, of the key with this public half.
func newKey(p Purpose, a Algorithm, spki, alternative []byte, created time.Time) (Key, error) {
	id, err := SubjectKeyID(spki)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: fmt.Sprintf("%x", id), Purpose: p, Algorithm: a, Created: created, Public: spki, Alternative: alternative}, nil
}

// Check tells whether the parts of k that never change agree with each other.
// Names of files are made from them only after that.
func (k Key) Check() error {
	if err := k.Purpose.check(); err != nil {
		return err
	}
	a, err := k.algorithm()
	if err != nil {
		return err
	}
	if a != k.Algorithm {
		return fmt.Errorf("%w %.40q: it is called %.40q and is %s", ErrInvalid, k.ID, k.Algorithm, a)
	}
	id, err := SubjectKeyID(k.Public)
	if err != nil {
		return err
	}
	if k.ID != fmt.Sprintf("%x", id) {
		return fmt.Errorf("%w %.40q: its public key has the identifier %x", ErrInvalid, k.ID, id)
	}
	return nil
}

// algorithm returns what the public halves of k are for.
func (k Key) algorithm() (Algorithm, error) {
	first, err := algorithmOf(k.Public)
	if err != nil || len(k.Alternative) == 0 {
		return first, err
	}
	second, err := algorithmOf(k.Alternative)
	if err != nil {
		return "", err
	}
	return ParseAlgorithm(string(first + "+" + second))
}

// oneOf returns the one of all that is spelled s.
func oneOf[T ~string](what, s string, all []T) (T, error) {
	if slices.Contains(all, T(s)) {
		return T(s), nil
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = string(one)
	}
	return "", fmt.Errorf("%w %s %.40q: want one of %s", ErrInvalid, what, s, strings.Join(names, ", "))
}
