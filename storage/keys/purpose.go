package keys

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Purpose is what a key signs. It is part of the names of records and files.
type Purpose string

const (
	Root   Purpose = "root"   // the issuers' certificates
	Issuer Purpose = "issuer" // the agents' certificates and the lists that revoke them
	Tokens Purpose = "tokens" // access tokens
	Audit  Purpose = "audit"  // checkpoints of the audit log

	// TokensPQ signs, with a post-quantum algorithm, the access tokens for
	// audiences that want that.
	TokensPQ Purpose = "tokens-pq"

	// ProfileIssuer signs as Issuer does, for the profiles whose certificates have
	// an algorithm of their own. One for each algorithm may be active.
	ProfileIssuer Purpose = "profile-issuer"

	// Where stock TLS clients cannot check what root and issuer sign, these two,
	// which are classical, sign for the authority's own HTTPS.
	HTTPSRoot   Purpose = "https-root"   // the https-issuers' certificates
	HTTPSIssuer Purpose = "https-issuer" // the server's own certificate and the list that revokes it
)

// check reports an error unless p is spelled like a purpose. [Purposes.Of] says
// whether the authority has it.
func (p Purpose) check() error {
	bad := func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }
	if p == "" || len(p) > 30 || strings.ContainsFunc(string(p), bad) {
		return fmt.Errorf("%w purpose %.40q", ErrInvalid, string(p))
	}
	return nil
}

// A PurposeSpec has the facts about the keys of one purpose. The package that signs
// with them declares it, and the server lists all of them, each with the function
// that loads the active key again after a rotation.
type PurposeSpec struct {
	Purpose Purpose

	// Algorithms are those that a key may have; nil means every one that there is.
	Algorithms []Algorithm
	// Because is the reason that [PurposeSpec.Check] gives, if it is not obvious.
	Because string

	// PerAlgorithm says that one key for each algorithm may be active, not one in all.
	PerAlgorithm bool
	// First says how to choose the algorithm of the first key, where the first
	// rotation makes that. Keys that an authority has from init on leave it out.
	First string

	Rotation  Rotation
	Publishes Publication
	// Announced is how long a key is published while it is [StateNext], before it
	// signs, because others cache the public keys. 0 means that nobody does.
	Announced time.Duration
	// Listed is how long the CRL of a CA is published at least before it signs anything else,
	// if nothing presses: servers that load a file of CRLs refuse CAs whose list is not in it.
	Listed time.Duration
	// Offline says that the authority can start and serve without the private half,
	// which may be kept elsewhere.
	Offline bool
}

// A Rotation is how a key is replaced.
type Rotation int

const (
	Plain   Rotation = iota // the new key takes the place of the old one
	ByRoot                  // the root signs a certificate for the new key
	Overlap                 // the new key works beside the old one, until an operator withdraws that
)

// A Publication says how relying parties get a key.
type Publication int

const (
	Nothing     Publication = iota
	Certificate             // a CA certificate and, for what signs agents' or servers' certificates, a CRL
	JWKS                    // a member of the JWK Set (RFC 7517)
)

// Check tells whether a key of this purpose may have algorithm a.
func (s PurposeSpec) Check(a Algorithm) error {
	if s.Algorithms == nil || slices.Contains(s.Algorithms, a) {
		return nil
	}
	err := fmt.Errorf("algorithm %q: want one of %s for %s", a, strings.Trim(fmt.Sprint(s.Algorithms), "[]"), s.Purpose)
	if s.Because != "" {
		err = fmt.Errorf("%w; %s", err, s.Because)
	}
	return err
}

// SignsFrom returns when a next key may become active, for [Purposes.Promote].
func (s PurposeSpec) SignsFrom(k Key) time.Time {
	if !k.SignsFrom.IsZero() {
		return k.SignsFrom
	}
	return k.Created.Add(s.Announced)
}

// AnnouncedUntil returns when a next key begins to sign. It reports false if the key is not
// announced, or if it is not next.
func (s PurposeSpec) AnnouncedUntil(k Key) (time.Time, bool) {
	if k.State != StateNext || s.Announced == 0 && k.SignsFrom.IsZero() {
		return time.Time{}, false
	}
	return s.SignsFrom(k), true
}

// rivals reports whether only one of two keys of the purpose can be active.
func (s PurposeSpec) rivals(a, b Key) bool { return !s.PerAlgorithm || a.Algorithm == b.Algorithm }

// Purposes are those of one authority, or of one owner of keys. The order is that
// in which people are shown them.
type Purposes []PurposeSpec

// Of returns what is known about a purpose.
func (ps Purposes) Of(p Purpose) (PurposeSpec, error) {
	for _, s := range ps {
		if s.Purpose == p {
			return s, nil
		}
	}
	_, err := oneOf("purpose", string(p), ps.Names())
	return PurposeSpec{}, err
}

// Names returns the purposes alone.
func (ps Purposes) Names() []Purpose {
	names := make([]Purpose, len(ps))
	for i, s := range ps {
		names[i] = s.Purpose
	}
	return names
}

// With returns the purposes that a function picks.
func (ps Purposes) With(pick func(PurposeSpec) bool) Purposes {
	var some Purposes
	for _, s := range ps {
		if pick(s) {
			some = append(some, s)
		}
	}
	return some
}
