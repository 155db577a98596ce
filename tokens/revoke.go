package tokens

import (
	"context"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// Revoke kills one token that is on record and alive. If holder is not empty,
// the token must be that agent's (RFC 7009, section 2.1).
func (s *Service) Revoke(ctx context.Context, r policy.Request, jti agents.CredentialID, holder agents.Name, why agents.Reason) (Token, error) {
	now := s.Clock.Now()
	var t Token
	r.Action = "token.revoke"
	err := policy.Do(ctx, s.DB, now, r, func(tx storage.Tx) (policy.Grant, error) {
		g := policy.Grant{Credential: jti.String(), Reasons: []string{why.String()}}
		var err error
		if t, err = Get(tx, jti); err != nil {
			return g, err
		}
		g.Subject = string(t.Agent)
		if holder != "" && t.Agent != holder {
			return g, fmt.Errorf("%w: token %s belongs to another agent", policy.ErrDenied, jti)
		}
		return g, agents.Revoke(tx, t.Credential, agents.Cutoff{At: now, Reason: why})
	})
	return t, err
}
