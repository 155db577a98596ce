package oauth

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// A Grant is one of the ways in which a client may ask for a token (RFC 6749,
// section 1.3). It only says what the token should contain. Before it asks the
// grant, the token endpoint reads the form, authenticates the client, and reads
// scopes and resources. Afterwards it has the token minted for that client.
type Grant interface {
	// Type is the grant_type.
	Type() string
	// Wish says what the client should get. A policy.Refusal is recorded.
	Wish(context.Context, Asked) (Wish, error)
}

// Asked is a token request whose client has authenticated. Only the token
// endpoint makes it.
type Asked struct {
	agent     agents.Agent
	scopes    []agents.Scope
	audiences []string
	form      form
}

// Agent returns the agent that the client has proven to be.
func (a Asked) Agent() agents.Agent { return a.agent }

// Scopes returns the scopes that the client asks for, if it names any.
func (a Asked) Scopes() []agents.Scope { return a.scopes }

// Audiences returns the resources that the client asks for, if it names any.
func (a Asked) Audiences() []string { return a.audiences }

// Parameter returns a parameter of the request, or "".
func (a Asked) Parameter(name string) string { return a.form.get(name) }

// A Wish is what a grant wants to have minted. It cannot say for whom. The
// registry decides whether the client may have it.
type Wish struct {
	Scopes    []agents.Scope // none means what the registry grants
	Audiences []string       // none means the only one there is

	// Consume, if set, uses up what the client presented, such as a code. It runs in
	// the transaction that records the token, may run twice, and touches nothing
	// else.
	Consume func(storage.Tx) error
}

// maxResources is how many resources one token may be for.
const maxResources = 16

// parseAsked reads the scopes and the resources (RFC 8707) of a request. The
// parameter audience, which many clients send instead of resource, means the
// same.
func parseAsked(c *client, f form) (Asked, error) {
	a := Asked{agent: c.agent, audiences: f["resource"], form: f}
	if aud := f.get("audience"); aud != "" {
		a.audiences = append(a.audiences, aud)
	}
	if len(a.audiences) > maxResources {
		return a, invalidRequest(fmt.Sprintf("more than %d resources", maxResources))
	}
	scope := f.get("scope")
	if scope == "" {
		return a, nil
	}
	var err error
	if a.scopes, err = agents.ParseScopes(scope); err != nil {
		return a, &protocolError{http.StatusBadRequest, "invalid_scope", err.Error()}
	}
	return a, nil
}

// grant returns the grant of a type.
func (s *Server) grant(kind string) (Grant, error) {
	if kind == "" {
		return nil, invalidRequest("grant_type is missing")
	}
	i := slices.IndexFunc(s.Grants, func(g Grant) bool { return g.Type() == kind })
	if i >= 0 {
		return s.Grants[i], nil
	}
	known := s.grantTypes()
	if len(known) == 1 {
		return nil, &protocolError{http.StatusBadRequest, "unsupported_grant_type", "the only grant_type here is " + known[0]}
	}
	return nil, &protocolError{http.StatusBadRequest, "unsupported_grant_type", "grant_type must be one of " + strings.Join(known, ", ")}
}

// grantTypes returns the types of all grants.
func (s *Server) grantTypes() []string {
	types := make([]string, len(s.Grants))
	for i, g := range s.Grants {
		types[i] = g.Type()
	}
	return types
}
