// Package tokens mints, introspects and revokes OAuth 2.0 access tokens for
// agents (RFC 6749). A token is a JWT by RFC 9068, lives for minutes, and is
// on record until it has expired: [Introspect] (RFC 7662) computes from that
// record and the registry, on each call, whether it may be used.
//
// [Service.Mint] is the one function that makes tokens. The grant is
// client_credentials (section 4.4). Clients have no secrets: they authenticate
// with a key by private_key_jwt (RFC 7523, section 2.2) or with their
// certificate (RFC 8705, section 2.1), and a token that is asked for with a
// certificate is bound to it (section 3). Tokens are signed with a classical
// key, but for audiences that want a post-quantum signature (RFC 9964). Not
// built: refresh tokens and whatever needs a browser.
package tokens

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Presented certificate is one that a TLS client has proved to have the key
// of, and that may be used now.
type Presented struct {
	Agent      agents.Agent
	Credential agents.Credential
	Thumbprint [32]byte // SHA-256 of the DER certificate (RFC 8705, section 3.1)
}

// A Config is what a Service is made of.
type Config struct {
	DB          storage.DB
	Keys        *keys.Store
	TrustDomain agents.TrustDomain
	Issuer      string // the https URL that is the iss of every token, without a slash at its end
	Clock       *clock.Clock
	Log         *slog.Logger

	// PostQuantum are the audiences whose tokens have a post-quantum signature,
	// and no other.
	PostQuantum []string

	// Certificate returns what the client presented on r's connection, or nil
	// if it presented nothing. What may not be used is an error.
	Certificate func(storage.Tx, *http.Request, time.Time) (*Presented, error)
}

// A Service mints tokens and answers for them. Its methods may be called
// concurrently.
type Service struct {
	Config
	signers atomic.Pointer[signers]
}

// New returns a Service over the token keys that are active in the store.
func New(c Config) (*Service, error) {
	c.Issuer = strings.TrimSuffix(c.Issuer, "/")
	s := &Service{Config: c}
	return s, s.Reload()
}

// The endpoints, below the issuer.
const (
	TokenPath      = "/oauth/token"
	IntrospectPath = "/oauth/introspect"
	RevokePath     = "/oauth/revoke"
	JWKSPath       = "/oauth/jwks"
)
