package operator

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

func (s *Service) listTokens(ctx context.Context, _ policy.Principal, in api.TokenFilter) ([]api.Token, error) {
	list := []api.Token{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		if err := checkAgent(tx, in.Agent); err != nil {
			return err
		}
		standing := agents.NewStanding(tx, s.Clock.Now())
		for t, err := range tokens.Since(tx, s.Clock.Now().Add(-past)) {
			if err != nil {
				return err
			}
			if in.Agent != "" && in.Agent != string(t.Agent) {
				continue
			}
			st, cutoff, err := state(standing, t.Credential, s.Clock.Now())
			if err != nil {
				return err
			}
			list = append(list, newToken(t, st, cutoff))
		}
		return nil
	})
	return list, err
}

func newToken(t tokens.Token, state string, cutoff agents.Cutoff) api.Token {
	out := api.Token{
		ID: t.ID.String(), Agent: string(t.Agent), State: state, IssuedAt: t.IssuedAt, Expires: t.ID.Expires(),
		Scope: agents.JoinScopes(t.Scopes), Audiences: t.Audiences,
	}
	if t.Bound != nil && t.Bound.Kind == tokens.ToCertificate {
		out.Bound = t.Bound.Certificate.ID.String()
	}
	if state == "revoked" {
		out.RevokedAt, out.Reason = cutoff.Date(), cutoff.Reason.String()
	}
	return out
}

func (s *Service) revokeToken(ctx context.Context, p policy.Principal, in api.TokenRevocation) (api.Receipt, error) {
	jti, err := viewed(ctx, s.DB, in.ID, s.jti)
	if err != nil {
		return api.Receipt{}, err
	}
	why, err := parseReason(in.Reason, agents.Unspecified)
	if err != nil {
		return api.Receipt{}, err
	}
	// Only an admin ends what another operator has.
	may := func(tx storage.Tx, _ *agents.Standing) error {
		t, err := tokens.Get(tx, jti)
		if person, ok := t.Agent.Person(); err == nil && ok && person != string(p.Person) {
			return policy.MayOperate(p, audit.OperatorSuspend)
		}
		return nil // Revoke tells of the error
	}
	t, err := s.Authority.Tokens.Revoke(storage.Urgent(ctx), policy.NewClaim(p, "", audit.ByOperator, may), jti, why)
	if errors.Is(err, agents.ErrRevoked) {
		return revokedAlready(count(nil, s.Clock.Now(), 0), t.Credential, err), nil
	}
	if err != nil {
		return api.Receipt{}, err
	}
	return count([]holding{{Credential: t.Credential, token: true}}, s.Clock.Now(), 0), nil // no CRL lists tokens
}

func (s *Service) introspect(ctx context.Context, _ policy.Principal, in api.IntrospectRequest) (json.RawMessage, error) {
	var out tokens.Introspection
	err := s.DB.View(ctx, func(tx storage.Tx) (err error) {
		out, err = s.Authority.Tokens.Introspect(tx, in.Token, s.Clock.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
