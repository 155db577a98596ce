package oauth

import (
	"net/http"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/tokens"
)

// ServeToken is the token endpoint (RFC 6749, section 3.2).
func (s *Server) ServeToken(w http.ResponseWriter, r *http.Request) {
	minted, err := s.grant(w, r)
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

func (s *Server) grant(w http.ResponseWriter, r *http.Request) (*tokens.Minted, error) {
	f, err := parseForm(w, r)
	if err != nil {
		return nil, err
	}
	switch f.get("grant_type") {
	case "client_credentials":
		return s.clientCredentials(r, f)
	case "":
		return nil, invalidRequest("grant_type is missing")
	}
	return nil, &protocolError{http.StatusBadRequest, "unsupported_grant_type", "the only grant_type here is client_credentials"}
}

// clientCredentials is the grant of RFC 6749, section 4.4, with resource
// indicators (RFC 8707). The parameter audience, which many clients send
// instead of resource, means the same.
func (s *Server) clientCredentials(r *http.Request, f form) (*tokens.Minted, error) {
	c, err := s.authenticate(r.Context(), r, f, "token.mint", nil)
	if err != nil {
		return nil, err
	}
	req := tokens.Request{
		Request: policy.Request{Actor: s.Tokens.TrustDomain.ID(c.agent.Name), ID: requestID(r)},
		Agent:   c.agent.Name, Bound: c.bound, Proof: c.proof(), Claim: c.claim,
		Audiences: f["resource"],
	}
	if aud := f.get("audience"); aud != "" {
		req.Audiences = append(req.Audiences, aud)
	}
	if len(req.Audiences) > 16 {
		return nil, invalidRequest("more than 16 resources")
	}
	if scope := f.get("scope"); scope != "" {
		if req.Scopes, err = agents.ParseScopes(scope); err != nil {
			return nil, &protocolError{http.StatusBadRequest, "invalid_scope", err.Error()}
		}
	}
	return s.Tokens.Mint(r.Context(), req)
}
