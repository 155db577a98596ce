package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/storage"
)

const (
	defaultLifetime = 5 * time.Minute
	maxLifetime     = time.Hour
)

// A Request asks for an access token.
type Request struct {
	policy.Request // whom the audit log names; Action and Subject are filled in
	Agent          agents.Name
	Scopes         []agents.Scope // none means what the registry grants, see policy.Scopes
	Audiences      []string       // none means the only one there is
	Bound          *Binding       // the certificate the token is bound to, if any
	Proof          string         // how the client proved who it is, for the audit log

	// Claim, if set, runs in the transaction that records the token and uses up
	// what entitles to it. Like every such function it may run twice.
	Claim func(storage.Tx) error
}

// A Minted token is one as it is handed out.
type Minted struct {
	Token
	Text secret.Secret // the JWT
}

// Mint makes an access token for an agent: the only function that does. Like
// ca.Issue it decides on a snapshot, signs outside of any transaction, and
// checks the agent again in the transaction that records the token.
func (s *Service) Mint(ctx context.Context, r Request) (*Minted, error) {
	now, err := s.Clock.Issuing()
	if err != nil {
		return nil, err
	}
	r.Action, r.Subject = "token.mint", string(r.Agent)
	token, err := s.prepare(ctx, r, now)
	if err != nil {
		if policy.IsDenial(err) {
			err = policy.Deny(ctx, s.DB, now, r.Request, err)
		}
		return nil, err
	}
	err = policy.Do(ctx, s.DB, now, r.Request, func(tx storage.Tx) (policy.Grant, error) {
		g := policy.Grant{Credential: token.ID.String(), Reasons: []string{r.Proof}}
		if r.Claim != nil {
			if err := r.Claim(tx); err != nil {
				return g, err
			}
		}
		a, err := token.Token.check(agents.NewStanding(tx, now))
		if err != nil {
			return g, err
		}
		if _, _, err := s.decide(r, a); err != nil {
			return g, err
		}
		if token.ID.Expires().After(end(a, r.Bound, now)) {
			return g, fmt.Errorf("%w lifetime: agent %s has just been given a shorter one; ask again", agents.ErrInvalid, a.Name)
		}
		return g, minted.Put(tx, token.ID.Expires(), token.ID.Key(), token.Token)
	})
	if err != nil {
		return nil, err
	}
	return token, nil
}

// decide returns the scopes and audiences that the registry grants.
func (s *Service) decide(r Request, a agents.Agent) ([]agents.Scope, []string, error) {
	scopes, err := policy.Scopes(a, r.Scopes)
	if err != nil {
		return nil, nil, err
	}
	audiences, err := policy.Audiences(a, s.Issuer, scopes, r.Audiences)
	return scopes, audiences, err
}

// prepare decides on a snapshot and signs.
func (s *Service) prepare(ctx context.Context, r Request, now time.Time) (*Minted, error) {
	var a agents.Agent
	err := s.DB.View(ctx, func(tx storage.Tx) (err error) {
		if a, err = agents.Get(tx, r.Agent); err != nil {
			return err
		}
		return a.Usable(now)
	})
	if err != nil {
		return nil, err
	}
	t := Token{Credential: agents.Credential{Agent: a.Name, IssuedAt: now}, Kind: AccessToken, Subject: a.Name, Bound: r.Bound}
	if t.Scopes, t.Audiences, err = s.decide(r, a); err != nil {
		return nil, err
	}
	signer, err := s.signer(t.Audiences)
	if err != nil {
		return nil, err
	}
	t.Issuer = signer.id
	ends := end(a, r.Bound, now)
	if ends.Before(now.Add(time.Second)) {
		return nil, fmt.Errorf("%w lifetime: the agent or its certificate ends at %s", agents.ErrInvalid, ends.Format(time.RFC3339))
	}
	if t.ID, err = agents.NewCredentialID(ends); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(s.claims(t))
	if err != nil {
		return nil, fmt.Errorf("encoding token %s: %w", t.ID, err)
	}
	text, err := signer.sign(payload)
	if err != nil {
		return nil, err
	}
	if len(text) > maxToken {
		return nil, fmt.Errorf("%w token: with %d octets it could not be introspected; ask for fewer scopes or resources", agents.ErrInvalid, len(text))
	}
	t.Hash = sha256.Sum256([]byte(text))
	return &Minted{Token: t, Text: secret.New(text)}, nil
}

// end returns when a token ends: after the agent's lifetime, and never after
// the agent or the certificate that it is bound to.
func end(a agents.Agent, bound *Binding, now time.Time) time.Time {
	ttl := defaultLifetime
	if a.TTL > 0 {
		ttl = min(a.TTL, maxLifetime)
	}
	end := now.Add(ttl)
	if !a.Expires.IsZero() && end.After(a.Expires) {
		end = a.Expires
	}
	if bound != nil && bound.Kind == ToCertificate && end.After(bound.Certificate.ID.Expires()) {
		end = bound.Certificate.ID.Expires()
	}
	return end.Truncate(time.Second)
}
