package api

import (
	"context"
	"time"
)

// An OperatorTokenRequest asks for a token for the operator who asks. It is bound to the
// certificate that they show, and the operators' API takes it as "Authorization: Bearer" beside
// that certificate.
type OperatorTokenRequest struct {
	Role string `json:"role,omitempty"` // at most theirs, which is the default
	TTL  string `json:"ttl,omitempty"`  // such as 5m; 10m at most
}

// An OperatorToken is a token by which an operator, or a tool of theirs, does less than they may.
type OperatorToken struct {
	Token    string    `json:"token"` // a JWT; a secret
	ID       string    `json:"jti"`
	Role     string    `json:"role"`
	Scope    string    `json:"scope"`
	Audience string    `json:"aud"`
	Expires  time.Time `json:"expires_at"`
}

// MintOperatorToken returns a token for the operator whose certificate the Client shows. An empty
// role means theirs.
func (c *Client) MintOperatorToken(ctx context.Context, role, ttl string) (OperatorToken, error) {
	return ask(ctx, c, MintOperatorToken, OperatorTokenRequest{role, ttl})
}
