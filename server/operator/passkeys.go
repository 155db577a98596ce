package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/persons/passkey"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// PasskeyPath is where the page is that registers a passkey, below the https origin.
const PasskeyPath = "/operator/passkey"

// addByPasskey adds a person who gets a link for a passkey in place of an enrollment token.
func (s *Service) addByPasskey(ctx context.Context, p policy.Principal, name string, add func(storage.Tx, persons.Name, agents.Enrollment, time.Time, *audit.Details) error) (api.InvitedOperator, error) {
	unused, err := agents.NewEnrollment(s.Clock.Now()) // which nobody learns
	if err != nil {
		return api.InvitedOperator{}, err
	}
	return s.link(ctx, p, name, audit.OperatorAdd, func(tx storage.Tx, n persons.Name, now time.Time, d *audit.Details) error {
		if err := add(tx, n, unused, now, d); err != nil {
			return err
		}
		return agents.Uninvite(tx, agents.OperatorName(string(n)))
	})
}

func (s *Service) linkOperator(ctx context.Context, p policy.Principal, in api.Named) (api.InvitedOperator, error) {
	return s.link(ctx, p, in.Name, audit.OperatorEnroll, func(storage.Tx, persons.Name, time.Time, *audit.Details) error { return nil })
}

// link gives a person a link for a passkey, after a change.
func (s *Service) link(ctx context.Context, p policy.Principal, name string, action audit.Action, change func(storage.Tx, persons.Name, time.Time, *audit.Details) error) (out api.InvitedOperator, err error) {
	at := s.Authority.Address.Current()
	if _, err := passkey.SiteOf(at); err != nil {
		return out, fmt.Errorf("%w --passkey: %w", agents.ErrInvalid, err)
	}
	l, err := persons.NewLink(s.Clock.Now())
	if err != nil {
		return out, err
	}
	out.Operator, err = s.changeOperator(ctx, p, name, action, s.do, func(tx storage.Tx, n persons.Name, now time.Time, d *audit.Details) (string, error) {
		if err := change(tx, n, now, d); err != nil {
			return "", err
		}
		d.Change = byLink
		_, err := persons.Invite(tx, n, l)
		return "", err
	})
	if err == nil {
		out.ID = s.TrustDomain.ID(agents.OperatorName(out.Name))
		out.Link = &api.PasskeyLink{URL: at + PasskeyPath + "#" + l.Token.Reveal(), Expires: l.Expires}
	}
	return out, err
}

func (s *Service) removePasskey(ctx context.Context, p policy.Principal, in api.PasskeyOf) (api.Operator, error) {
	id, err := strict.Base64(in.ID)
	if err != nil {
		return api.Operator{}, fmt.Errorf("%w passkey: %w", agents.ErrInvalid, err)
	}
	return s.changeOperator(ctx, p, in.Name, audit.OperatorUnkey, s.do, func(tx storage.Tx, n persons.Name, _ time.Time, d *audit.Details) (string, error) {
		d.From = in.ID
		_, err := persons.RemovePasskey(tx, n, id)
		return "", err
	})
}
