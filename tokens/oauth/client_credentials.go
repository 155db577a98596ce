package oauth

import "context"

// ClientCredentials is the grant of RFC 6749, section 4.4: an agent asks for a
// token for itself, and the registry says what it may have.
type ClientCredentials struct{}

// Type is the grant_type.
func (ClientCredentials) Type() string { return "client_credentials" }

// Wish asks for what the client asked for.
func (ClientCredentials) Wish(_ context.Context, a Asked) (Wish, error) {
	return Wish{Scopes: a.scopes, Audiences: a.audiences}, nil
}
