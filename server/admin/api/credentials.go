package api

import (
	"context"
	"encoding/json"
	"time"
)

// Operations on certificates and tokens.
var (
	IssueCertificate  = Operation[IssueRequest, Issued]{"POST /agents/{name}/certificates"}
	ListCertificates  = Operation[CertificateFilter, []Certificate]{"GET /certificates"}
	ShowCertificate   = Operation[CertificateRequest, Certificate]{"GET /certificates/{serial}"}
	RevokeCertificate = Operation[CertificateRevocation, Receipt]{"POST /certificates/{serial}/revoke"}
	ListTokens        = Operation[TokenFilter, []Token]{"GET /tokens"}
	MintOperatorToken = Operation[OperatorTokenRequest, OperatorToken]{"POST /tokens"}
	RevokeToken       = Operation[TokenRevocation, Receipt]{"POST /tokens/{jti}/revoke"}
	Introspect        = Operation[IntrospectRequest, json.RawMessage]{"POST /tokens/introspect"}
)

// A Certificate is what operators see of a certificate.
type Certificate struct {
	Serial      string    `json:"serial"`
	Agent       string    `json:"agent"`
	State       string    `json:"state"` // active, revoked, expired
	Issuer      string    `json:"issuer"`
	IssuedAt    time.Time `json:"issued_at"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Profile     string    `json:"profile"`
	Names       []string  `json:"names"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the DER, in hexadecimal
	RevokedAt   time.Time `json:"revoked_at,omitzero"`
	Reason      string    `json:"reason,omitempty"`
}

// A CertificateFilter chooses certificates to list. Empty members choose all.
type CertificateFilter struct {
	Agent string `query:"agent" json:"-"`
	State string `query:"state" json:"-"`
}

// A CertificateRequest is about one certificate.
type CertificateRequest struct {
	Serial string `path:"serial" json:"-"`
}

// A CertificateRevocation revokes one certificate.
type CertificateRevocation struct {
	Serial string `path:"serial" json:"-"`
	Reason string `json:"reason,omitempty"`
}

// An IssueRequest has the authority issue a certificate for an operator.
type IssueRequest struct {
	Agent   string `path:"name" json:"-"`
	CSR     string `json:"csr"`           // PEM
	TTL     string `json:"ttl,omitempty"` // such as 5m
	Profile string `json:"profile,omitempty"`
}

// An Issued certificate is the answer of every operation that issues one.
type Issued struct {
	Certificate string    `json:"certificate"` // PEM
	Chain       string    `json:"chain"`       // PEM, from the issuer upwards, without the root
	NotAfter    time.Time `json:"not_after"`
}

// A Token is what operators see of an access token.
type Token struct {
	ID        string    `json:"jti"`
	Agent     string    `json:"agent"`
	State     string    `json:"state"`
	IssuedAt  time.Time `json:"issued_at"`
	Expires   time.Time `json:"expires_at"`
	Scope     string    `json:"scope"`
	Audiences []string  `json:"aud"`
	Bound     string    `json:"certificate,omitempty"` // serial number of the certificate it is bound to
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// A TokenFilter chooses access tokens to list. An empty agent means any.
type TokenFilter struct {
	Agent string `query:"agent" json:"-"`
}

// A TokenRevocation revokes one access token.
type TokenRevocation struct {
	ID     string `path:"jti" json:"-"`
	Reason string `json:"reason,omitempty"`
}

// An IntrospectRequest asks for the introspection of a token (RFC 7662).
type IntrospectRequest struct {
	Token string `json:"token"`
}

// IssueCertificate issues a certificate for the operator.
func (c *Client) IssueCertificate(ctx context.Context, name string, r IssueRequest) (Issued, error) {
	r.Agent = name
	return ask(ctx, c, IssueCertificate, r)
}

// Certificates lists certificates. An empty agent or state means any.
func (c *Client) Certificates(ctx context.Context, agent, state string) ([]Certificate, error) {
	return ask(ctx, c, ListCertificates, CertificateFilter{agent, state})
}

// Certificate returns one certificate's record.
func (c *Client) Certificate(ctx context.Context, serial string) (Certificate, error) {
	return ask(ctx, c, ShowCertificate, CertificateRequest{serial})
}

// RevokeCertificate revokes one certificate.
func (c *Client) RevokeCertificate(ctx context.Context, serial, reason string) (Receipt, error) {
	return ask(ctx, c, RevokeCertificate, CertificateRevocation{serial, reason})
}

// Tokens lists access tokens. An empty agent means any.
func (c *Client) Tokens(ctx context.Context, agent string) ([]Token, error) {
	return ask(ctx, c, ListTokens, TokenFilter{agent})
}

// RevokeToken revokes one access token.
func (c *Client) RevokeToken(ctx context.Context, jti, reason string) (Receipt, error) {
	return ask(ctx, c, RevokeToken, TokenRevocation{jti, reason})
}

// Introspect returns the answer of RFC 7662 for a token, as JSON.
func (c *Client) Introspect(ctx context.Context, token string) (json.RawMessage, error) {
	return ask(ctx, c, Introspect, IntrospectRequest{token})
}
