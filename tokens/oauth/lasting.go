package oauth

import (
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
)

// lastingLifetime bounds how far ahead the exp of an assertion for a certificate may lie. It
// comes beside a request for a new key, which it does not name, so nobody should have long to
// send it with another.
const lastingLifetime = 5 * time.Minute

// Lasting returns the claim of a client that signed an assertion with a key that is registered
// for its agent (RFC 7523, section 3): with it the agent obtains certificates. The key of a
// certificate does not do, and neither does an assertion for [Server.NextKey]. If the attempt
// fails, Lasting returns the agent that it was about, if that is known.
func (s *Server) Lasting(tx storage.Tx, text string, now time.Time) (policy.Claim, agents.Name, error) {
	a, claim, err := s.lasting(tx, text, now)
	if err == nil && a.next != "" {
		err = &proven{fmt.Errorf("the assertion has the claim %s, and replaces a key", nextKey)}
	}
	return claim, a.agent, err
}

func (s *Server) lasting(tx storage.Tx, text string, now time.Time) (assertion, policy.Claim, error) {
	a, err := s.checkAssertion(tx, text, "", s.KeyMaxAges.Lasting, now)
	if err != nil {
		return a, policy.Claim{}, err
	}
	switch {
	case a.signer.Certificate != (agents.Credential{}):
		return a, policy.Claim{}, &proven{fmt.Errorf("the assertion is signed by the key of a certificate, and must be by one that is registered for the agent")}
	case a.expires.After(now.Add(lastingLifetime + clockSkew)):
		return a, policy.Claim{}, &proven{fmt.Errorf("the assertion's exp lies more than %s ahead", clock.FormatDuration(lastingLifetime))}
	}
	if err := a.unused(tx); err != nil {
		return a, policy.Claim{}, err
	}
	agent, err := agents.Get(tx, a.agent)
	c := client{agent: agent, signed: &a}
	return a, s.claim(&c), err
}

// nextKey is the claim of an assertion that names the next key: the base64url of its SHA-256.
const nextKey = "next_key"

// NextKey returns the claim of a client that signed an assertion like those of
// [Server.Lasting], and the key that the assertion names to take the place of the one that
// signed. If the attempt fails, it returns the agent that it was about, if that is known.
func (s *Server) NextKey(tx storage.Tx, text string, now time.Time) (policy.Claim, agents.NextKey, error) {
	a, claim, err := s.lasting(tx, text, now)
	next := agents.NextKey{Agent: a.agent, Old: a.signer.Public}
	if err != nil {
		return claim, next, err
	}
	sum, err := strict.Base64(a.next)
	if err != nil || len(sum) != len(next.SHA256) {
		return claim, next, &proven{fmt.Errorf("the assertion's %s must be there, and be the base64url of a SHA-256", nextKey)}
	}
	copy(next.SHA256[:], sum)
	return claim, next, nil
}
