package oauth

import (
	"net/http"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

// ServeToken is the token endpoint (RFC 6749, section 3.2).
func (s *Server) ServeToken(w http.ResponseWriter, r *http.Request) {
	minted, err := s.mint(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Scope       string `json:"scope"`
	}{minted.Text.Reveal(), minted.Type(), int64(minted.ID.Expires().Sub(minted.IssuedAt).Seconds()), agents.JoinScopes(minted.Scopes)})
}

// mint does the steps that all grants share, and asks the grant for the rest.
func (s *Server) mint(w http.ResponseWriter, r *http.Request) (*tokens.Minted, error) {
	f, err := parseForm(w, r)
	if err != nil {
		return nil, err
	}
	g, err := s.grant(f.get("grant_type"))
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	c, err := s.authenticate(ctx, r, f, audit.TokenMint, nil)
	if err != nil {
		return nil, err
	}
	asked, err := parseAsked(c, f)
	if err != nil {
		return nil, err
	}
	who := policy.Agent(s.Tokens.TrustDomain.ID(c.agent.Name))
	wish, err := g.Wish(ctx, asked)
	if err != nil {
		r := tokens.Request{Principal: who, Agent: c.agent.Name, Bound: c.bound, Proof: c.proof(), Scopes: asked.scopes, Audiences: asked.audiences}
		return nil, s.Tokens.Refuse(ctx, r, err)
	}
	return s.Tokens.Mint(ctx, tokens.Request{
		Principal: who, Agent: c.agent.Name, Bound: c.bound, Proof: c.proof(), Claim: both(c.claim, wish.Claim),
		Scopes: wish.Scopes, Audiences: wish.Audiences,
	})
}

// both returns a function that calls two others. Each may be nil.
func both(a, b func(storage.Tx) error) func(storage.Tx) error {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(tx storage.Tx) error {
		if err := a(tx); err != nil {
			return err
		}
		return b(tx)
	}
}
