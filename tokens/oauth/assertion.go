package oauth

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
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
}

var errUsed = fmt.Errorf("%w: the assertion was used before", ErrClient)

// check returns nil if the key that signed still proves who the agent is. It is a
// [policy.Check].
func (a assertion) check(_ storage.Tx, s *agents.Standing) error { return s.CheckKey(a.signer) }

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
	return cmp.Or(err, errUsed)
}

func (a assertion) key() string {
	sum := sha256.Sum256([]byte(string(a.agent) + "\x00" + a.id))
	return string(sum[:])
}

// checkAssertion checks a client assertion (RFC 7523, section 3). clientID is
// the parameter client_id, or empty. If the check fails after the assertion has
// named its agent, checkAssertion still returns that agent.
func (s *Server) checkAssertion(tx storage.Tx, text, clientID string, now time.Time) (assertion, error) {
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
	agent, err := agents.Get(tx, name)
	if err != nil {
		return assertion{}, fmt.Errorf("%w: %w", ErrClient, err)
	}
	a := assertion{agent: name, id: c.ID, expires: c.Expiry}
	if err := agent.Usable(now); err != nil {
		return a, fmt.Errorf("%w: %w", ErrClient, err)
	}
	if err := s.checkClaims(c, now); err != nil {
		return a, fmt.Errorf("%w: %v", ErrClient, err)
	}
	candidates, err := agents.Keys(tx, agent, now)
	if err != nil {
		return a, err
	}
	for _, k := range candidates {
		if signed.by(k.Public) {
			a.signer = k
			return a, nil
		}
	}
	return a, fmt.Errorf("%w: none of the agent's %d keys made the assertion's signature", ErrClient, len(candidates))
}

// A signedAssertion is an assertion whose signature has not been checked yet, only
// its form.
type signedAssertion struct {
	*jose.Signed
	claims jose.Claims
}

func parseAssertion(text string) (signedAssertion, error) {
	signed, err := jose.ParseCompact(text)
	if err != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion: %v", ErrClient, err)
	}
	if !slices.Contains(assertionAlgorithms, signed.Algorithm) {
		return signedAssertion{}, fmt.Errorf("%w: the assertion's alg %.40q is not one of %v", ErrClient, signed.Algorithm, assertionAlgorithms)
	}
	claims, err := jose.ParseClaims(signed.Payload)
	if err != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion's claims: %v", ErrClient, err)
	}
	return signedAssertion{signed, claims}, nil
}

// by reports whether this key made the signature. The header only names the
// algorithm; the key comes from the registry.
func (s signedAssertion) by(spki agents.PublicKey) bool {
	if slices.Contains(postQuantum, s.Algorithm) { // the other keys are not unpacked
		key, err := pqc.ParsePKIXPublicKey(spki)
		return err == nil && s.Verify(key)
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	return err == nil && s.Verify(key)
}

var postQuantum = jose.PostQuantum()

func (s *Server) checkClaims(c jose.Claims, now time.Time) error {
	if c.Expiry.IsZero() || c.ID == "" || len(c.ID) > 256 {
		return errors.New("the assertion needs exp and a jti of at most 256 octets")
	}
	expires := c.Expiry
	switch {
	case !slices.Contains(c.Audience, s.Tokens.Issuer) && !slices.Contains(c.Audience, s.Tokens.Issuer+TokenPath):
		return fmt.Errorf("the assertion's aud must be %s", s.Tokens.Issuer)
	case !now.Before(expires.Add(clockSkew)):
		return fmt.Errorf("the assertion expired at %s", expires.UTC().Format(time.RFC3339))
	case expires.After(now.Add(assertionLifetime + clockSkew)):
		return fmt.Errorf("the assertion's exp lies more than %s ahead", assertionLifetime)
	case c.NotBefore.After(now.Add(clockSkew)):
		return errors.New("the assertion's nbf lies ahead")
	case c.IssuedAt.After(now.Add(clockSkew)):
		return errors.New("the assertion's iat lies ahead")
	}
	return nil
}
