package oauth

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/storage"
)

const (
	// maxAssertion is the longest client assertion that is looked at.
	maxAssertion = 16 << 10
	// assertionLifetime bounds how far ahead an assertion's exp may lie: until
	// then its jti is remembered.
	assertionLifetime = time.Hour
	// clockSkew is how far a client's clock may be off.
	clockSkew = 30 * time.Second
)

// assertionAlgorithms are the algorithms that may sign client assertions. Symmetric
// algorithms and "none" are not among them (RFC 8725, section 3.1).
var assertionAlgorithms = append(jose.Classical(), jose.PostQuantum()...)

// used remembers the assertions that were used, by a hash of agent and jti,
// until they expire (RFC 7523, section 3, point 7).
const used = storage.Partitioned[struct{}]("assertions")

// An assertion is a JWT by which a client proves who it is (RFC 7523, section
// 2.2), once its signature and claims were checked.
type assertion struct {
	agent   agents.Name
	id      string
	expires time.Time
	signer  agents.Key
	maxAge  time.Duration // of the signer, if it is a registered key
	next    string        // what it says about the next key, see [Server.NextKey]
}

var errUsed = &proven{errors.New("the assertion was used before: each request needs one of its own, with another jti")}

var errNotActive = &proven{fmt.Errorf("%w; ask its operator", agents.ErrNotActive)}

// check returns nil if the key that signed still proves who the agent is. It is a
// [policy.Check].
func (a assertion) check(_ storage.Tx, s *agents.Standing) error {
	return s.CheckKey(a.signer, a.maxAge)
}

// use uses the assertion up. It is a [policy.Check].
func (a assertion) use(tx storage.Tx, _ *agents.Standing) error {
	err := used.Create(tx, a.expires, a.key(), struct{}{})
	if errors.Is(err, storage.ErrExists) {
		return errUsed
	}
	return err
}

// unused fails if the assertion was used up already.
func (a assertion) unused(tx storage.Tx) error {
	_, err := used.Get(tx, a.expires, a.key())
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return cmp.Or[error](err, errUsed)
}

func (a assertion) key() string {
	sum := sha256.Sum256([]byte(string(a.agent) + "\x00" + a.id))
	return string(sum[:])
}

// checkAssertion checks a client assertion (RFC 7523, section 3). clientID is
// the parameter client_id, or empty. If the check fails after the assertion has
// named its agent, checkAssertion still returns that agent.
//
// The signature is checked before everything that only the agent may learn. From then
// on the client has proven to have a key of the agent, and is told why it is refused.
// A registered key may be as old as maxAge, unless its agent has another limit.
func (s *Server) checkAssertion(tx storage.Tx, text, clientID string, maxAge time.Duration, now time.Time) (assertion, error) {
	if len(text) > maxAssertion {
		return assertion{}, fmt.Errorf("%w: the assertion has %d octets", ErrClient, len(text))
	}
	signed, err := parseAssertion(text)
	if err != nil {
		return assertion{}, err
	}
	c := signed.claims
	name, err := agents.ParseName(c.Issuer)
	if err != nil || c.Subject != c.Issuer || clientID != "" && clientID != c.Issuer {
		return assertion{}, fmt.Errorf("%w: iss, sub and client_id must all be the agent's name", ErrClient)
	}
	agent, unknown := agents.Get(tx, name)
	if unknown != nil && !errors.Is(unknown, agents.ErrUnknown) {
		return assertion{}, unknown
	}
	agent.Name = name // an agent that does not exist has no keys, and costs as much as one that does
	candidates, err := agents.Keys(tx, agent, now)
	if err != nil {
		return assertion{}, err
	}
	public, ok := signed.signer(candidates, signed.Verify)
	if unknown != nil {
		return assertion{}, fmt.Errorf("%w: %w", ErrClient, unknown)
	}
	a := assertion{agent: name, id: c.ID, expires: c.Expiry, maxAge: maxAge}
	if !ok {
		return a, fmt.Errorf("%w: none of the agent's %d keys made the assertion's signature", ErrClient, len(candidates))
	}
	standing := agents.NewStanding(tx, now)
	if a.signer, err = alive(candidates, public, standing); policy.IsDenial(err) {
		return a, fmt.Errorf("%w: the certificate of the key that made the assertion's signature has ended: %w", ErrClient, err)
	} else if err != nil {
		return a, err
	}
	if err := agent.Usable(now); err != nil {
		return a, fmt.Errorf("%w (%w)", errNotActive, err)
	}
	if err := a.check(tx, standing); errors.Is(err, agents.ErrKeyTooOld) {
		return a, &proven{fmt.Errorf("%w: have another one registered", err)}
	} else if err != nil {
		return a, err
	}
	if err := s.checkClaims(signed, now); err != nil {
		return a, &proven{err}
	}
	if a.next, err = signed.nextKey(); err != nil {
		return a, &proven{err}
	}
	restored, err := agents.LastRestore(tx)
	if err != nil {
		return a, err
	}
	if err := madeAfter(c, restored.At); err != nil {
		return a, &proven{err}
	}
	return a, nil
}
