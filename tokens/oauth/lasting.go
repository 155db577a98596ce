package oauth

import (
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// lastingLifetime bounds how far ahead the exp of an assertion for a certificate may lie. It
// comes beside a request for a new key, which it does not name, so nobody should have long to
// send it with another.
const lastingLifetime = 5 * time.Minute

// Lasting returns the claim of a client that signed an assertion with a key that is registered
// for its agent (RFC 7523, section 3): with it the agent obtains certificates. The key of a
// certificate does not do. If the attempt fails, Lasting returns the agent that it was about,
// if that is known.
func (s *Server) Lasting(tx storage.Tx, text string, now time.Time) (policy.Claim, agents.Name, error) {
	a, err := s.checkAssertion(tx, text, "", s.KeyMaxAges.Lasting, now)
	if err != nil {
		return policy.Claim{}, a.agent, err
	}
	switch {
	case a.signer.Certificate != (agents.Credential{}):
		return policy.Claim{}, a.agent, &proven{fmt.Errorf("the assertion is signed by the key of a certificate, and must be by one that is registered for the agent")}
	case a.expires.After(now.Add(lastingLifetime + clockSkew)):
		return policy.Claim{}, a.agent, &proven{fmt.Errorf("the assertion's exp lies more than %s ahead", clock.FormatDuration(lastingLifetime))}
	}
	if err := a.unused(tx); err != nil {
		return policy.Claim{}, a.agent, err
	}
	agent, err := agents.Get(tx, a.agent)
	c := client{agent: agent, proof: audit.PrivateKeyJWT, checks: []policy.Check{a.check}, use: a.use, until: a.expires}
	return s.claim(&c), a.agent, err
}
