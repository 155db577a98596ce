package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// A client is an agent that has proven who it is, and how.
type client struct {
	agent  agents.Agent
	cert   *Presented // or nil
	signed *assertion // or nil
}

// bound returns what its tokens are bound to: its certificate, if it presented one.
func (c *client) bound() *tokens.Binding {
	if c.cert == nil {
		return nil
	}
	return &tokens.Binding{Kind: tokens.ToCertificate, Certificate: c.cert.Credential, Thumbprint: c.cert.Thumbprint}
}

// proof says what the client proved its identity by, for the audit log.
func (c *client) proof() audit.Evidence {
	switch {
	case c.signed != nil:
		return audit.PrivateKeyJWT
	case c.cert.Forwarder != nil:
		return audit.ForwardedCertificate(c.cert.Credential.ID.String(), string(c.cert.Forwarder.Agent))
	}
	return audit.ClientCertificate(c.cert.Credential.ID.String())
}

// checks are whether what the client presented may still be used. The last one uses up its
// assertion.
func (c *client) checks() (all []policy.Check) {
	if c.cert != nil {
		all = append(all, policy.Alive(c.cert.Credential))
		if via := c.cert.Forwarder; via != nil {
			all = append(all, via.check)
		}
	}
	if c.signed != nil {
		all = append(all, c.signed.check, c.signed.use)
	}
	return all
}

// claim returns the claim of a client, which uses its assertion up.
func (s *Server) claim(c *client) policy.Claim {
	who := policy.Agent(s.Tokens.TrustDomain.ID(c.agent.Name))
	checks := c.checks()
	return policy.NewClaim(who, c.agent.Name, c.proof(), func(tx storage.Tx, st *agents.Standing) error {
		for _, check := range checks {
			if err := check(tx, st); policy.IsDenial(err) && !errors.Is(err, ErrClient) {
				return fmt.Errorf("%w: %w", ErrClient, err)
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

// authenticate returns the agent that a request comes from (RFC 6749, section 2.3;
// RFC 7523, section 2.2; RFC 8705, section 2.1). If a client presents both an
// assertion and a certificate, both must be of the same agent. If a failure
// concerns an agent, it is recorded as a denial. After a success, authenticate calls
// then on the same snapshot, unless it is nil.
func (s *Server) authenticate(ctx context.Context, r *http.Request, f form, action audit.Action, then func(storage.Tx, *client) error) (*client, error) {
	if user, _, ok := r.BasicAuth(); ok || f.get("client_secret") != "" {
		return nil, fmt.Errorf("%w: %.80q came with a client secret, which no agent has", ErrClient, user)
	}
	now := s.Tokens.Clock.Now()
	var c client
	var claimed agents.Name
	err := s.Tokens.DB.View(ctx, func(tx storage.Tx) (err error) {
		if c, claimed, err = s.identify(tx, r, f, now); err != nil {
			return err
		}
		if err := admission.Prove(ctx, c.agent.Name); err != nil || then == nil {
			return err
		}
		return then(tx, &c)
	})
	if err != nil {
		err = s.deny(ctx, policy.Anonymous, action, claimed, err)
	}
	return &c, err
}

// deny records err if it is a refusal that concerns an agent, and returns it.
func (s *Server) deny(ctx context.Context, who policy.Principal, action audit.Action, about agents.Name, err error) error {
	q := policy.Query{Principal: who, Action: action, Subject: string(about), Time: s.Tokens.Clock.Now()}
	return s.Tokens.Policy.Refuse(ctx, q, err)
}

// identify returns the client. If the attempt fails, it returns the agent that the
// attempt was about, if that is known.
func (s *Server) identify(tx storage.Tx, r *http.Request, f form, now time.Time) (c client, claimed agents.Name, err error) {
	cert, err := s.Certificate(tx, r, now)
	if err != nil {
		if cert != nil {
			claimed = cert.Agent.Name
		}
		return c, claimed, err
	}
	if cert != nil {
		c.agent, c.cert = cert.Agent, cert
	}
	text := f.get("client_assertion")
	switch id := f.get("client_id"); {
	case text == "" && cert == nil:
		return c, "", fmt.Errorf("%w: neither an assertion nor a client certificate", errNothing)
	case text == "" && id != "" && id != string(c.agent.Name):
		return c, c.agent.Name, fmt.Errorf("%w: client_id is not the name of the certificate's agent", ErrClient)
	case text == "":
		return c, c.agent.Name, nil
	case f.get("client_assertion_type") != assertionType:
		return c, "", fmt.Errorf("%w: client_assertion_type must be %s", ErrClient, assertionType)
	}
	a, err := s.checkAssertion(tx, text, f.get("client_id"), s.KeyMaxAges.Registered, now)
	if err == nil {
		err = a.unused(tx) // a copy of one proves nothing
	}
	if err != nil {
		return c, a.agent, err
	}
	if cert != nil && cert.Agent.Name != a.agent {
		return c, a.agent, fmt.Errorf("%w: the assertion and the client certificate name different agents", ErrClient)
	}
	c.agent, err = agents.Get(tx, a.agent)
	c.signed = &a
	return c, a.agent, err
}

// errBearer says that the client presented a bearer token that may not be used here.
var errBearer = &protocolError{http.StatusUnauthorized, "invalid_token", "the bearer token cannot be used here: it is unknown, ended, for another audience, or bound to another certificate"}

// bearer returns the agent whose own access token for this authority the
// request carries (RFC 6750, section 2.1), or errNothing if it carries none.
func (s *Server) bearer(tx storage.Tx, r *http.Request, now time.Time) (tokens.Token, agents.Agent, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return tokens.Token{}, agents.Agent{}, fmt.Errorf("%w: no bearer token", errNothing)
	}
	t, a, err := s.Tokens.Active(tx, text, now)
	if errors.Is(err, storage.ErrNotFound) || policy.IsDenial(err) {
		return t, a, fmt.Errorf("%w (%w)", errBearer, err)
	}
	if err != nil {
		return t, a, err
	}
	if len(t.Audiences) != 1 || !s.Tokens.Address.List().Has(t.Audiences[0], now) {
		return t, a, fmt.Errorf("%w: it is for %s", errBearer, t.Audiences[0])
	}
	if t.Bound == nil {
		return t, a, nil
	}
	if t.Bound.Kind != tokens.ToCertificate {
		return t, a, fmt.Errorf("%w: it is bound to a key that was not proved", errBearer)
	}
	cert, err := s.Certificate(tx, r, now)
	if err == nil && (cert == nil || cert.Thumbprint != t.Bound.Thumbprint) {
		err = fmt.Errorf("%w: its certificate was not presented", errBearer) // RFC 8705, section 3
	}
	return t, a, err
}
