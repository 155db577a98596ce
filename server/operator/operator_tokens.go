package operator

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

var (
	errNoCertificate = fmt.Errorf("%w request: a token is bound to the certificate that you show, so ask for it at listen_admin, by your certificate", agents.ErrInvalid)
	errByToken       = agents.NewRefusal("token_by_token", policy.ErrDenied.Error()+": a token obtains no other token; ask by your certificate alone", policy.ErrOperatorRole)
)

// mintOperatorToken gives an operator a token that is bound to the certificate that they
// showed. It is for one of their roles, so that a tool may do less than they may. Each operator
// may ask for one; [tokens.Service.Mint] decides which one they get.
func (s *Service) mintOperatorToken(ctx context.Context, p policy.Principal, in api.OperatorTokenRequest) (out api.OperatorToken, err error) {
	role, err := persons.ParseRole(cmp.Or(in.Role, p.Operates.String()))
	if err != nil {
		return out, err
	}
	ttl, err := agents.ParseTTL(in.TTL)
	if err != nil {
		return out, err
	}
	if p.Certificate == (agents.Credential{}) {
		return out, errNoCertificate
	}
	want := tokens.Request{
		Claim:  policy.NewClaim(p.Own(), p.Certificate.Agent, audit.ClientCertificate(p.Certificate.ID.String()), policy.Alive(p.Certificate)),
		Scopes: []agents.Scope{role.Scope()}, Audiences: []string{policy.OperatorAudience(s.TrustDomain)}, Lifetime: ttl,
		Bound: &tokens.Binding{Kind: tokens.ToCertificate, Certificate: p.Certificate},
	}
	if p.Token != (agents.Credential{}) {
		return out, s.Authority.Tokens.Refuse(ctx, want, errByToken)
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		c, err := ca.Get(tx, p.Certificate.ID)
		want.Bound.Thumbprint = c.Fingerprint
		return err
	})
	if err != nil {
		return out, err
	}
	m, err := s.Authority.Tokens.Mint(ctx, want)
	if err != nil {
		return out, err
	}
	return api.OperatorToken{Token: m.Text.Reveal(), ID: m.ID.String(), Role: persons.RoleOf(m.Scopes).String(), Scope: agents.JoinScopes(m.Scopes), Audience: m.Audiences[0], Expires: m.ID.Expires()}, nil
}

// AuthenticateToken is [Service.Authenticate] for a client that presented a token beside its
// certificate (RFC 8705, section 3). A refusal because of the token is [policy.ErrToken], and is
// recorded.
func (s *Service) AuthenticateToken(ctx context.Context, cert *x509.Certificate, text string) (policy.Principal, error) {
	p, err := s.Authenticate(ctx, cert)
	if err != nil {
		return p, err
	}
	limited := p
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		t, _, err := s.Authority.Tokens.Active(tx, text, s.Clock.Now())
		if err == nil {
			err = s.accept(p, cert, t)
		}
		limited = p.Limited(persons.RoleOf(t.Scopes), t.Credential)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) || policy.IsDenial(err) {
		if !errors.Is(err, policy.ErrToken) {
			err = fmt.Errorf("%w: %v", policy.ErrToken, err) // not wrapped: the reason is about the token, not about what they ask for
		}
		return p, s.RefuseToken(ctx, p, err)
	}
	return limited, err
}

// accept returns nil if p, who showed cert, may present a token that can be used.
func (s *Service) accept(p policy.Principal, cert *x509.Certificate, t tokens.Token) error {
	switch {
	case t.Agent.OfAgent():
		return fmt.Errorf("%w: it is an agent's", policy.ErrToken)
	case t.Agent != p.Certificate.Agent:
		return fmt.Errorf("%w: it is another operator's", policy.ErrToken)
	case t.Bound == nil || t.Bound.Kind != tokens.ToCertificate || t.Bound.Certificate.ID != p.Certificate.ID || t.Bound.Thumbprint != sha256.Sum256(cert.Raw):
		return fmt.Errorf("%w: it is bound to another certificate", policy.ErrToken)
	case !slices.Equal(t.Audiences, []string{policy.OperatorAudience(s.TrustDomain)}):
		return fmt.Errorf("%w: it is for another audience", policy.ErrToken)
	case persons.RoleOf(t.Scopes) == 0:
		return fmt.Errorf("%w: it is for no role", policy.ErrToken)
	}
	return nil
}

// RefuseToken records that a token was refused for a reason, and returns the reason.
func (s *Service) RefuseToken(ctx context.Context, p policy.Principal, reason error) error {
	if err := policy.MayOperate(p, policy.Read); err != nil {
		return err
	}
	return s.Policy.Refuse(ctx, policy.Query{Principal: p, Action: audit.OperatorUseToken, Subject: cmp.Or(string(p.Person), string(s.TrustDomain)), Time: s.Clock.Now()}, reason)
}
