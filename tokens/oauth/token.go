package oauth

import (
	"net/http"

	"github.com/brevet-ca/brevet/agents"
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

// mint does the steps that all grants share, and asks the grant for the rest. While the clock
// is not believed, it looks at no proof: one that is refused for its age may be in time.
func (s *Server) mint(w http.ResponseWriter, r *http.Request) (*tokens.Minted, error) {
	if err := s.Tokens.Clock.Check(); err != nil {
		return nil, err
	}
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
	want := tokens.Request{Claim: s.claim(c), Bound: c.bound(), Scopes: asked.scopes, Audiences: asked.audiences}
	wish, err := g.Wish(ctx, asked)
	if err != nil {
		return nil, s.Tokens.Refuse(ctx, want, err)
	}
	want.Scopes, want.Audiences, want.Consume = wish.Scopes, wish.Audiences, wish.Consume
	minted, err := s.Tokens.Mint(ctx, want)
	if err == nil && s.Minted != nil {
		s.Minted(f.get("grant_type")) // one of the server's own, or there would be no g
	}
	return minted, err
}
