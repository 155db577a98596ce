package agents

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

// DefaultRenewGrace is for how long after its end a certificate may still renew, at
// authorities and for agents that have no window of their own: a night and the day after
// it.
const DefaultRenewGrace = 24 * time.Hour

// MaxRenewGrace is the longest window.
const MaxRenewGrace = 31 * 24 * time.Hour

// CheckRenewGrace returns nil if d can be a window. 0 means that nothing renews after its end.
func CheckRenewGrace(d time.Duration) error {
	if d < 0 || d > MaxRenewGrace || d%time.Second != 0 {
		return fmt.Errorf("%w renew_grace %s: want whole seconds, at most %s, or 0 to turn it off", ErrInvalid, clock.FormatDuration(d), clock.FormatDuration(MaxRenewGrace))
	}
	return nil
}

// RenewGraceOf returns the window of an agent: its own, or else the usual one.
func (a Agent) RenewGraceOf(usual time.Duration) time.Duration {
	if a.RenewGrace != nil {
		return *a.RenewGrace
	}
	return usual
}

// A Late is a certificate that a client shows after its end, in order to renew.
type Late struct {
	ID          CredentialID
	Agent       Name // that the certificate names
	Fingerprint [32]byte
	Recorded    [32]byte      // the hash in its record, if there is one still: lists of an earlier version have none
	KeyHash     [32]byte      // SHA-256 of its SubjectPublicKeyInfo
	Usual       time.Duration // the authority's window
}

// errTooLate says that an expired certificate cannot renew, whatever it is.
var errTooLate = NewRefusalOf(Proof, "credential_expired", "credential is expired, and too late to renew or not among the agent's latest", ErrCredentialExpired)

// CheckLate returns the credential of an expired certificate that may renew: it is on the
// agent's list of recent certificates with the same hash, its window is open, nothing has
// revoked it, and its agent is active. It may do nothing else. The hour tables of certificates
// and revocations may be gone by then, so the list has what it takes. An error comes with
// the credential if the certificate is on the list.
func (s *Standing) CheckLate(l Late) (Credential, error) {
	a, unknown := s.agent(l.Agent)
	if unknown != nil && !errors.Is(unknown, ErrUnknown) {
		return Credential{}, unknown
	}
	list, err := certified.Get(s.tx, string(l.Agent))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return Credential{}, err
	}
	e, err := list.find(l.ID)
	if err != nil {
		return Credential{}, err
	}
	if unknown != nil || e == nil || l.Agent == Authority || !e.is(l) {
		return Credential{}, errTooLate
	}
	c, _ := e.read()
	if err := s.late(a, e, c.Credential, l.Usual); err != nil {
		return c.Credential, err
	}
	known, err := compromisedKeys.Has(s.tx, string(l.KeyHash[:]))
	if err == nil && known {
		err = fmt.Errorf("%w: %w", ErrRevoked, ErrKeyCompromised)
	}
	return c.Credential, err
}

// late returns nil if the certificate of an entry may renew.
func (s *Standing) late(a Agent, e entry, c Credential, usual time.Duration) error {
	if end := c.ID.Expires().Add(a.RenewGraceOf(usual)); !s.now.Before(end) {
		return fmt.Errorf("%w: since %s", errTooLate, end.Format(time.RFC3339))
	}
	if c.IssuedAt.After(s.now.Add(ClockTolerance)) {
		return fmt.Errorf("%w, at %s", ErrAhead, c.IssuedAt.UTC().Format(time.RFC3339))
	}
	cutoff, dead := e.revoked()
	if !dead {
		var err error
		if cutoff, dead, err = s.Cutoff(c); err != nil {
			return err
		}
	}
	if dead {
		return fmt.Errorf("%w since %s (%s)", ErrRevoked, cutoff.Date().UTC().Format(time.RFC3339), cutoff.Reason)
	}
	return a.Usable(s.now)
}

// is reports whether the entry is that of the certificate that somebody shows, by its hash.
func (e entry) is(l Late) bool {
	own := e.fingerprint()
	if !e.fingerprinted() {
		own = l.Recorded
	}
	return own != [32]byte{} && subtle.ConstantTimeCompare(own[:], l.Fingerprint[:]) == 1
}

// MayRenew is CheckLate for operators, who show no certificate: it returns the agent of an
// expired one that may renew if its holder shows it.
func (s *Standing) MayRenew(c Credential, usual time.Duration) (Agent, error) {
	a, err := s.agent(c.Agent)
	if err != nil {
		return a, err
	}
	list, err := certified.Get(s.tx, string(c.Agent))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return a, err
	}
	e, err := list.find(c.ID)
	if err != nil {
		return a, err
	}
	if e == nil || !e.fingerprinted() {
		return a, errTooLate
	}
	return a, s.late(a, e, c, usual)
}

// A Remembered certificate is what a list of recent certificates says of one.
type Remembered struct {
	Credential
	KeyHash [32]byte // SHA-256 of its SubjectPublicKeyInfo

	revoked Cutoff // by itself; otherwise zero
}

func (e entry) remembered() Remembered {
	c, hash := e.read()
	r := Remembered{Credential: c.Credential, KeyHash: hash}
	if cutoff, dead := e.revoked(); dead {
		r.revoked = cutoff
	}
	return r
}

// Expired yields the certificates on the lists of recent ones that have expired before an
// instant. Ask [Standing.MayRenew] about each.
func Expired(tx storage.Tx, before time.Time) iter.Seq2[Remembered, error] {
	return func(yield func(Remembered, error) bool) {
		for list, err := range certified.Scan(tx, "") {
			if err != nil {
				yield(Remembered{}, err)
				return
			}
			for e, err := range list.entries() {
				switch {
				case err != nil:
					yield(Remembered{}, err)
					return
				case e.id().Expires().Before(before) && !yield(e.remembered(), nil):
					return
				}
			}
		}
	}
}

// FindRecent returns the certificate with a serial number that is on the list of recent
// certificates of an agent, or [storage.ErrNotFound]. If n is "", it looks at the lists of all
// agents.
func FindRecent(tx storage.Tx, n Name, id CredentialID) (Remembered, error) {
	if n != "" {
		list, err := certified.Get(tx, string(n))
		if err != nil {
			return Remembered{}, err
		}
		return list.remembered(id)
	}
	for list, err := range certified.Scan(tx, "") {
		if err != nil {
			return Remembered{}, err
		}
		if r, err := list.remembered(id); !errors.Is(err, storage.ErrNotFound) {
			return r, err
		}
	}
	return Remembered{}, storage.ErrNotFound
}

func (l recent) remembered(id CredentialID) (Remembered, error) {
	e, err := l.find(id)
	switch {
	case err != nil:
		return Remembered{}, err
	case e == nil:
		return Remembered{}, storage.ErrNotFound
	}
	return e.remembered(), nil
}

// KeyCompromisedLate is [Standing.KeyCompromised] for a certificate that has expired.
func (s *Standing) KeyCompromisedLate(r Remembered) (bool, error) {
	if r.revoked.Reason == KeyCompromise {
		return true, nil
	}
	return s.Compromised(r.Agent, r.IssuedAt)
}

// noteRevoked notes a revocation on the list of recent certificates: there it lives for as long
// as the certificate may renew. It reports whether the credential is on the list.
func noteRevoked(tx storage.Tx, c Credential, why Cutoff) (bool, error) {
	list, err := certified.Get(tx, string(c.Agent))
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	e, err := list.find(c.ID)
	if err != nil || e == nil {
		return false, err
	}
	if earlier, dead := e.revoked(); dead {
		return true, fmt.Errorf("%w already, since %s: %s", ErrRevoked, earlier.At.Format(time.RFC3339), c.ID)
	}
	e.revoke(why)
	return true, certified.Put(tx, string(c.Agent), list)
}

// revokeLate revokes a certificate that has expired and is on the list.
func revokeLate(tx storage.Tx, c Credential, why Cutoff) error {
	cutoff, dead, err := NewStanding(tx, why.At).Cutoff(c)
	switch {
	case err != nil:
		return err
	case dead:
		return fmt.Errorf("%w already, since %s: %s", ErrRevoked, cutoff.Date().UTC().Format(time.RFC3339), c.ID)
	}
	found, err := noteRevoked(tx, c, why)
	if err == nil && !found {
		err = fmt.Errorf("%w since %s: %s", ErrCredentialExpired, c.ID.Expires().Format(time.RFC3339), c.ID)
	}
	return err
}

// hashed says, under one key, that the lists of an earlier version have hashes.
const hashed = storage.Table[struct{}]("certified.hashed")

const hashedKey = "yes"

// ListsComplete reports whether [FillHashes] was called.
func ListsComplete(tx storage.Tx) (bool, error) { return hashed.Has(tx, hashedKey) }

// FillHashes completes the lists of a store that was written when they had neither hashes
// nor revocations, and reports whether there were any. It does so once; later calls read
// nothing. fingerprint returns the hash of a certificate on record, or [storage.ErrNotFound].
func FillHashes(tx storage.Tx, fingerprint func(CredentialID) ([32]byte, error)) (bool, error) {
	if done, err := ListsComplete(tx); done || err != nil {
		return false, err
	}
	lists := map[Name]recent{}
	for list, err := range certified.Scan(tx, "") {
		if err != nil {
			return false, err
		}
		for e, err := range list.entries() {
			if err != nil {
				return false, err
			}
			c, _ := e.read()
			hash, err := fingerprint(c.Credential.ID)
			if errors.Is(err, storage.ErrNotFound) || e.fingerprinted() || c.Credential.Agent == Authority {
				continue
			}
			if err != nil {
				return false, err
			}
			own, err := revocations.Get(tx, c.Credential.ID.Expires(), c.Credential.ID.Key())
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return false, err
			}
			if err == nil {
				e.revoke(own)
			}
			e.identify(hash)
			lists[c.Credential.Agent] = list
		}
	}
	for n, list := range lists {
		if err := certified.Put(tx, string(n), list); err != nil {
			return false, err
		}
	}
	return len(lists) > 0, hashed.Put(tx, hashedKey, struct{}{})
}
