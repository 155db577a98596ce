// Package oauth serves the endpoints of an OAuth 2.0 authorization server (RFC
// 6749) for agents: it authenticates clients, reads what they ask for, and lets
// package tokens mint, introspect and revoke.
//
// Each [Grant] is one way to ask for a token; the one that exists is
// [ClientCredentials] (section 4.4). Clients have no secrets: they
// authenticate with a key by private_key_jwt (RFC 7523, section 2.2) or with
// their certificate (RFC 8705, section 2.1), and a token that is requested with a
// certificate is bound to it (section 3). Refresh tokens and everything that needs
// a browser are not implemented; the authorization endpoint says so.
package oauth

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens"
)

// A Presented certificate may be used now, and the TLS client has proven that it has
// the key.
type Presented struct {
	Agent      agents.Agent
	Credential agents.Credential
	Thumbprint [32]byte // SHA-256 of the DER certificate (RFC 8705, section 3.1)

	// Forwarder is the proxy that says so, if the client did not present the certificate to
	// this server.
	Forwarder *Forwarder
}

// A Forwarder is an agent that may forward the certificates of its clients.
type Forwarder struct {
	Agent      agents.Name
	Credential agents.Credential // its own certificate
}

// check returns nil if the proxy may still forward certificates. It is a [policy.Check].
func (f *Forwarder) check(tx storage.Tx, s *agents.Standing) error {
	a, err := s.Check(f.Credential)
	if err != nil {
		return err
	}
	held, err := agents.Held(tx, &a, s.Now())
	if err == nil && !held.Has(agents.ScopeProxy) {
		err = fmt.Errorf("%w: %s has the scope %s no more", ErrClient, f.Agent, agents.ScopeProxy)
	}
	return err
}

// A Config is what a Server is made of.
type Config struct {
	Tokens *tokens.Service // has the store, the clock and the issuer, too
	Log    *slog.Logger
	Grants []Grant // the ways in which clients may ask for a token

	// KeyMaxAges are of agents that have no limit of their own.
	KeyMaxAges agents.KeyMaxAges

	// Minted is told of the grant of each token. It may be nil.
	Minted func(grant string)

	// Certificate returns the certificate that the client presented on r's
	// connection, or nil if it presented none. It fails if that may not be used.
	Certificate func(storage.Tx, *http.Request, time.Time) (*Presented, error)
}

// A Server is an authorization server. Its methods may be called concurrently.
type Server struct{ Config }

// New returns the authorization server of an authority.
func New(c Config) *Server { return &Server{c} }

// The endpoints, below the issuer.
const (
	AuthorizePath  = "/oauth/authorize"
	TokenPath      = "/oauth/token"
	IntrospectPath = "/oauth/introspect"
	RevokePath     = "/oauth/revoke"
	JWKSPath       = "/oauth/jwks"
)
