// Package tokens mints, introspects and revokes access tokens for agents. A
// token is a JWT by RFC 9068, lives for minutes, and is on record until it has
// expired. On each call, [Service.Introspect] (RFC 7662) computes from that record
// and the registry whether the token may be used.
//
// [Service.Mint] is the one function that makes tokens. Tokens are signed with a
// classical key, except for audiences that want a post-quantum signature (RFC
// 9964). Package tokens/oauth has the endpoints where agents ask for them.
package tokens

import (
	"log/slog"
	"sync/atomic"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Config is what a Service is made of.
type Config struct {
	DB          storage.DB
	Policy      *policy.Point
	Keys        keys.Source
	TrustDomain agents.TrustDomain
	Address     *address.Book // where the authority is: the iss of every token
	Clock       *clock.Clock
	Log         *slog.Logger

	// PostQuantum are the audiences whose tokens have a post-quantum signature.
	// Tokens for all others have a classical one.
	PostQuantum []string
}

// A Service mints tokens and answers for them. Its methods may be called
// concurrently.
type Service struct {
	Config
	signers atomic.Pointer[signers]
}

// New returns a Service over the token keys that are active in the store.
func New(c Config) (*Service, error) {
	s := &Service{Config: c}
	return s, s.Reload()
}
