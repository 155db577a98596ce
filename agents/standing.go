package agents

import (
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

// ErrCredentialExpired says that a credential's time is over.
var ErrCredentialExpired = NewRefusalOf(Proof, "credential_expired", "credential is expired", nil)

// ErrAhead says that a credential was issued by a clock that was ahead.
var ErrAhead = NewRefusalOf(Proof, "issued_ahead", "credential was issued while the clock was ahead", nil)

// ClockTolerance is how far the authority's clock may be set back before the
// credentials from before cannot be used: they would live longer than intended.
const ClockTolerance = clock.Tolerance

// A Standing tells, for one snapshot and one instant, which credentials may be
// used. It is the only reader of cutoffs; it remembers the agents and cutoffs
// it met, so that a CRL over many credentials of few agents is cheap.
type Standing struct {
	tx      storage.Tx
	now     time.Time
	agents  met[Name, *known]
	cutoffs met[Name, Cutoff]   // of an agent or its owner, the latest
	issuers met[string, Cutoff] // of an issuing key
	alive   Credential          // that Check found last
}

// met remembers what was looked up. The first two entries need no map, and most
// requests have no more.
type met[K comparable, V any] struct {
	first [2]struct {
		key   K
		value V
	}
	n    int // of first
	more map[K]V
}

func (m *met[K, V]) get(k K) (V, bool) {
	for i := range m.n {
		if m.first[i].key == k {
			return m.first[i].value, true
		}
	}
	v, ok := m.more[k]
	return v, ok
}

func (m *met[K, V]) put(k K, v V) {
	if m.n < len(m.first) {
		m.first[m.n].key, m.first[m.n].value = k, v
		m.n++
		return
	}
	if m.more == nil {
		m.more = map[K]V{}
	}
	m.more[k] = v
}

type known struct {
	agent *Agent // shared; nobody if it is unknown
	err   error
}

// NewStanding returns the standing of credentials in tx at now.
func NewStanding(tx storage.Tx, now time.Time) *Standing { return &Standing{tx: tx, now: now} }

// Now returns the instant.
func (s *Standing) Now() time.Time { return s.now }

// Check returns the agent of a credential that may be used: it is not expired
// or revoked, and its agent is active. The caller vouches that the credential
// was issued, by its record.
func (s *Standing) Check(c Credential) (Agent, error) {
	if c.Agent != "" && s.alive == c { // a certificate that authenticated often binds what is issued
		return *s.known(c.Agent).agent, nil
	}
	a, err := s.check(c)
	if err == nil {
		s.alive = c
	}
	return a, err
}

func (s *Standing) check(c Credential) (Agent, error) {
	if !s.now.Before(c.ID.Expires()) {
		return Agent{}, fmt.Errorf("%w since %s", ErrCredentialExpired, c.ID.Expires().Format(time.RFC3339))
	}
	if c.IssuedAt.After(s.now.Add(ClockTolerance)) {
		return Agent{}, fmt.Errorf("%w, at %s", ErrAhead, c.IssuedAt.UTC().Format(time.RFC3339))
	}
	cutoff, dead, err := s.Cutoff(c)
	if err != nil {
		return Agent{}, err
	}
	if dead {
		return Agent{}, fmt.Errorf("%w since %s (%s)", ErrRevoked, cutoff.Date().UTC().Format(time.RFC3339), cutoff.Reason)
	}
	k := s.known(c.Agent)
	if k.err != nil {
		return *k.agent, k.err
	}
	return *k.agent, k.agent.Usable(s.now)
}

// CheckOrphan is Check for a certificate whose issuer's key is compromised: it passes if
// nothing else has ended the certificate. The caller has compared the whole certificate
// with its record, which no other certificate of the stolen key matches.
func (s *Standing) CheckOrphan(c Credential) (Agent, error) {
	orphan, err := s.Orphan(c)
	if err != nil {
		return Agent{}, err
	}
	if orphan {
		c.Issuer = "" // which has no cutoff
	}
	return s.Check(c)
}

// Orphan reports whether the key that signed a credential is compromised.
func (s *Standing) Orphan(c Credential) (bool, error) {
	cutoff, err := s.ofIssuer(c.Issuer)
	return cutoff.Reason == KeyCompromise, err
}

// CheckHolder is Check for something that no issuing key signed, such as an ACME
// account, which the agent has held since an instant. A cutoff that ends the
// credentials issued at that instant ends it, too.
func (s *Standing) CheckHolder(n Name, since time.Time) (Agent, error) {
	if since.After(s.now.Add(ClockTolerance)) {
		return Agent{}, fmt.Errorf("%w, at %s", ErrAhead, since.UTC().Format(time.RFC3339))
	}
	a, err := s.agent(n)
	if err != nil {
		return Agent{}, err
	}
	cutoff, err := s.latest(&a)
	if err != nil {
		return Agent{}, err
	}
	if !since.After(cutoff.At) {
		return Agent{}, fmt.Errorf("%w since %s (%s)", ErrRevoked, cutoff.Date().UTC().Format(time.RFC3339), cutoff.Reason)
	}
	return a, a.Usable(s.now)
}

// Compromised reports whether a cutoff for a compromised key covers what the agent has
// held since an instant. Later cutoffs for other reasons do not change that.
func (s *Standing) Compromised(n Name, since time.Time) (bool, error) {
	a, err := s.agent(n)
	if err != nil {
		return false, err
	}
	for _, what := range [...]string{"agent/" + string(n), "owner/" + a.Owner} {
		c, err := cutoffs.Get(s.tx, what)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return false, err
		}
		if err == nil && !since.After(c.compromised()) {
			return true, nil
		}
	}
	return false, nil
}

// Cutoff returns what killed the credential, if anything has: its own revocation,
// or else the latest cutoff that covers it.
func (s *Standing) Cutoff(c Credential) (Cutoff, bool, error) {
	own, err := revocations.Get(s.tx, c.ID.Expires(), c.ID.Key())
	if err == nil {
		return own, true, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return own, false, err
	}
	k := s.known(c.Agent)
	if k.err != nil {
		return Cutoff{}, false, k.err
	}
	latest, err := s.latest(k.agent)
	if err != nil {
		return Cutoff{}, false, err
	}
	issuer, err := s.ofIssuer(c.Issuer)
	if issuer.At.After(latest.At) {
		latest = issuer
	}
	return latest, err == nil && !c.IssuedAt.After(latest.At), err
}

// Ended is Cutoff for CRLs and other views that are published. There, credentials
// that would outlive their agent count as revoked if the agent's end was brought
// forward.
func (s *Standing) Ended(c Credential) (Cutoff, bool, error) {
	cutoff, dead, err := s.Cutoff(c)
	if err != nil || dead {
		return cutoff, dead, err
	}
	a, err := s.agent(c.Agent)
	if err != nil || !a.expired(s.now) || !a.Expires.Before(c.ID.Expires()) {
		return Cutoff{}, false, err
	}
	return a.end(), true, nil
}

func (s *Standing) agent(n Name) (Agent, error) {
	k := s.known(n)
	return *k.agent, k.err
}

// known is agent without a copy: an Agent is large. The caller changes nothing.
func (s *Standing) known(n Name) *known {
	k, ok := s.agents.get(n)
	if !ok {
		k = new(known)
		k.agent, k.err = shared(s.tx, n)
		s.agents.put(n, k)
	}
	return k
}

// latest returns the latest cutoff of the agent and its owner. Without one it returns the
// zero Cutoff, which kills nothing.
func (s *Standing) latest(a *Agent) (Cutoff, error) {
	latest, ok := s.cutoffs.get(a.Name)
	if ok {
		return latest, nil
	}
	for _, what := range [...]string{"agent/" + string(a.Name), "owner/" + a.Owner} {
		c, err := cutoffs.Get(s.tx, what)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return c, err
		}
		if err == nil && c.At.After(latest.At) {
			latest = c
		}
	}
	s.cutoffs.put(a.Name, latest)
	return latest, nil
}

// ofIssuer is latest for an issuing key.
func (s *Standing) ofIssuer(id string) (Cutoff, error) {
	c, ok := s.issuers.get(id)
	if ok {
		return c, nil
	}
	c, err := cutoffs.Get(s.tx, "issuer/"+id)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return c, err
	}
	s.issuers.put(id, c)
	return c, nil
}
