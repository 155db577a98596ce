package agents

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
)

// EnrollmentPrefix begins every enrollment token, so that people and secret
// scanners recognize one.
const EnrollmentPrefix = "brevet_enroll_"

// EnrollmentLifetime is how long an enrollment token may be used.
const EnrollmentLifetime = time.Hour

// ErrEnrollment says that an enrollment token cannot be used. Callers tell
// outsiders no more than that.
var ErrEnrollment = NewRefusalOf(Proof, "enrollment", "enrollment token is not valid (unknown, used, replaced or expired)", nil)

// An Enrollment is a one-time token: its prefix, then in base64url the second
// of its expiry and 256 random bits. Only its hash is stored. It comes with a
// [Binding], which ACME clients use instead.
type Enrollment struct {
	Token   secret.Secret
	Expires time.Time // of the token and of the binding
	Binding Binding   // the zero Binding in one that was parsed
	hash    [32]byte
}

// NewEnrollment returns an enrollment that may be used for an hour from now.
func NewEnrollment(now time.Time) (Enrollment, error) {
	id, err := NewCredentialID(now.Add(EnrollmentLifetime))
	if err != nil {
		return Enrollment{}, err
	}
	raw := make([]byte, 4+32)
	copy(raw, id[:4])
	rand.Read(raw[4:])
	e := newEnrollment(raw)
	e.Binding = newBinding([4]byte(id[:4]))
	return e, nil
}

func newEnrollment(raw []byte) Enrollment {
	var id CredentialID
	copy(id[:4], raw)
	text := EnrollmentPrefix + strict.ToBase64(raw)
	return Enrollment{Token: secret.New(text), Expires: id.Expires(), hash: sha256.Sum256([]byte(text))}
}

// ParseEnrollment reads a token.
func ParseEnrollment(text string) (Enrollment, error) {
	body, ok := strings.CutPrefix(text, EnrollmentPrefix)
	if !ok || len(body) != strict.Base64Len(4+32) {
		return Enrollment{}, ErrEnrollment
	}
	raw, err := strict.Base64(body)
	if err != nil || raw[0] >= 0x80 {
		return Enrollment{}, ErrEnrollment
	}
	return newEnrollment(raw), nil
}

// invitations maps the hash of an enrollment token to the record of its agent.
// Used ones stay until their hour is past, so that a second use can be told from
// a guess.
const invitations = storage.Partitioned[Name]("enrollments")

// invite makes e the one token that a may enroll with, and its binding the one
// that an ACME account of a may be opened with.
func (a Agent) invite(tx storage.Tx, e Enrollment) error {
	a.Pending, a.Invited = e.hash[:], e.Expires.Add(-EnrollmentLifetime)
	if err := invitations.Put(tx, e.Expires, string(e.hash[:]), a.Name); err != nil {
		return err
	}
	if a.Name.OfAgent() { // operators have no ACME accounts
		var err error
		if a.Binding, err = e.Binding.keep(tx, a.Name); err != nil {
			return err
		}
	}
	return a.put(tx)
}

// Unused reports whether the agent has an enrollment token and a binding that may still be
// used at now.
func (a Agent) Unused(now time.Time) (token, binding bool) {
	if !a.Invited.IsZero() && !now.Before(a.Invited.Add(EnrollmentLifetime)) {
		return false, false
	}
	return a.Pending != nil, a.Binding != nil
}

// Uninvite ends the enrollment token and the binding that the agent has not used yet.
func Uninvite(tx storage.Tx, n Name) error {
	a, err := Get(tx, n)
	if err != nil || a.Pending == nil && a.Binding == nil {
		return err
	}
	a.Pending, a.Binding = nil, nil
	return a.put(tx)
}

// Enrollable returns the agent that may enroll with the token now. If it fails, it still
// returns the agent that the token was made for, unless the token was never given out.
// Both take the same look-ups.
func Enrollable(tx storage.Tx, e Enrollment, now time.Time) (Agent, error) {
	n, unknown := invitations.Get(tx, e.Expires, string(e.hash[:]))
	if unknown != nil && !errors.Is(unknown, storage.ErrNotFound) {
		return Agent{}, unknown
	}
	a, err := Get(tx, cmp.Or(n, Authority))
	if unknown != nil && (err == nil || errors.Is(err, ErrUnknown)) {
		return Agent{}, ErrEnrollment
	}
	if err != nil {
		return a, err
	}
	switch {
	case !now.Before(e.Expires):
		return a, fmt.Errorf("%w: it expired at %s", ErrEnrollment, e.Expires.Format(time.RFC3339))
	case e.Expires.After(now.Add(EnrollmentLifetime + ClockTolerance)):
		return a, fmt.Errorf("%w: it was made while the clock was ahead", ErrEnrollment)
	case subtle.ConstantTimeCompare(a.Pending, e.hash[:]) != 1:
		return a, fmt.Errorf("%w: it was used or replaced", ErrEnrollment)
	}
	return a, a.Usable(now)
}

// Redeem uses the token up. Call it in the transaction that records the
// certificate, so that a token gives only one certificate.
func Redeem(tx storage.Tx, e Enrollment, now time.Time) error {
	a, err := Enrollable(tx, e, now)
	if err != nil {
		return err
	}
	a.Pending = nil
	return a.put(tx)
}
