package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// ErrHolder says that an agent asked for the end of a token that is not its own.
var ErrHolder = agents.NewRefusal("not_the_holder", policy.ErrDenied.Error()+": the token belongs to another agent", policy.ErrDenied)

// Revoke kills one token that is on record and alive. An agent may revoke only its own
// tokens (RFC 7009, section 2.1); an operator, who claims to be none, any. For an operator,
// one that is revoked already is recorded as allowed, and ErrRevoked says so.
func (s *Service) Revoke(ctx context.Context, c policy.Claim, jti agents.CredentialID, why agents.Reason) (Token, error) {
	now := s.Clock.Now()
	var t Token
	var already error
	q := policy.Query{Claim: c, Principal: c.Principal(), Action: audit.TokenRevoke, Time: now}
	err := s.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		done := policy.Done{Credential: jti.String(), Reasons: []string{why.String()}}
		var err error
		if t, err = Get(tx, jti); err != nil {
			return done, err
		}
		done.Subject = string(t.Agent)
		if holder := c.Agent(); holder != "" && t.Agent != holder {
			return done, fmt.Errorf("%w: %s", ErrHolder, jti)
		}
		err = agents.Revoke(tx, t.Credential, agents.Cutoff{At: now, Reason: why})
		if already = nil; c.Proof() != audit.ByOperator || !errors.Is(err, agents.ErrRevoked) {
			return done, err
		}
		already, done.Reasons = err, append(done.Reasons, err.Error())
		return done, nil
	}})
	return t, cmp.Or(err, already)
}
