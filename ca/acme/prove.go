package acme

import (
	"context"
	"encoding/json"
	"net"
	"time"

	"github.com/smallstep/certificates/acme"
	"go.step.sm/crypto/jose"
)

// A proof says what one challenge asks for.
type proof struct {
	identifier        // a DNS name without "*.", or an address
	kind       string // of challenge
	token      string
	jwk        []byte // the account's key
}

// prove tries the challenge once, within the time given. It returns nil if the account
// has proven control of the identifier, or else why not. smallstep's code compares the
// answer; this package decides what is fetched, from where, and what the client is told.
func (d *dialer) prove(ctx context.Context, p proof, limit time.Duration) (failed *problem) {
	defer func() {
		if recover() != nil { // foreign code runs on a stranger's input
			failed = newProblem("serverInternal", "the validation failed for a reason of the authority's own")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var key jose.JSONWebKey
	if err := json.Unmarshal(p.jwk, &key); err != nil {
		return newProblem("badPublicKey", "the account's key cannot be used for challenges")
	}
	c := &client{dialer: d, ctx: ctx, proof: p}
	ch := &acme.Challenge{Type: acme.ChallengeType(p.kind), Token: p.token, Value: p.Value, Status: acme.StatusPending}
	err := ch.Validate(acme.NewClientContext(ctx, c), unstored{}, &key, nil)
	switch {
	case c.failed != nil:
		return c.failed
	case err != nil:
		return newProblem("serverInternal", "the validation failed for a reason of the authority's own")
	case ch.Status == acme.StatusValid && ch.Error == nil:
		return nil
	}
	return mismatch(p, ch.Error)
}

// mismatch is the problem for an answer that proves nothing. smallstep calls it
// rejectedIdentifier, which tells clients that they can never have the name, and repeats
// the answer, which may contain anything.
func mismatch(p proof, found *acme.Error) *problem {
	switch acme.ChallengeType(p.kind) {
	case acme.HTTP01:
		return newProblem("unauthorized", "what http://%s/.well-known/acme-challenge/ has for the token is not its key authorization", hostOf(p.Value))
	case acme.DNS01:
		return newProblem("unauthorized", "no TXT record of _acme-challenge.%s is the digest of the key authorization", p.Value)
	}
	return newProblem("unauthorized", "%.300v", found)
}

// hostOf writes an address as it stands in a URL.
func hostOf(value string) string {
	if ip := net.ParseIP(value); ip != nil && ip.To4() == nil {
		return "[" + value + "]"
	}
	return value
}

// unstored replaces smallstep's store: the outcome is in the challenge itself.
type unstored struct{ acme.DB }

func (unstored) UpdateChallenge(context.Context, *acme.Challenge) error { return nil }
