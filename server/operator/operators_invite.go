package operator

import (
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// What an operator was given, as the log has it.
var (
	byToken = []audit.FieldChange{{Field: "enrollment_token"}}
	byLink  = []audit.FieldChange{{Field: "passkey_link"}}
)

func (s *Service) addOperator(ctx context.Context, p policy.Principal, in api.AddOperatorRequest) (api.InvitedOperator, error) {
	role, err := persons.ParseRole(in.Role)
	if err != nil {
		return api.InvitedOperator{}, err
	}
	add := func(tx storage.Tx, n persons.Name, e agents.Enrollment, now time.Time, d *audit.Details) error {
		d.To = role.String()
		_, err := persons.Add(tx, n, role, e, now)
		return err
	}
	if in.Passkey {
		return s.addByPasskey(ctx, p, in.Name, add)
	}
	return s.inviteOperator(ctx, p, in.Name, audit.OperatorAdd, add)
}

func (s *Service) enrollOperator(ctx context.Context, p policy.Principal, in api.Named) (api.InvitedOperator, error) {
	return s.inviteOperator(ctx, p, in.Name, audit.OperatorEnroll, func(tx storage.Tx, n persons.Name, e agents.Enrollment, now time.Time, _ *audit.Details) error {
		_, err := persons.Enroll(tx, n, e, now)
		return err
	})
}

// inviteOperator runs a change that gives a person a new enrollment token.
func (s *Service) inviteOperator(ctx context.Context, p policy.Principal, name string, action audit.Action, change func(storage.Tx, persons.Name, agents.Enrollment, time.Time, *audit.Details) error) (out api.InvitedOperator, err error) {
	e, err := agents.NewEnrollment(s.Clock.Now())
	if err != nil {
		return out, err
	}
	out.Operator, err = s.changeOperator(ctx, p, name, action, s.do, func(tx storage.Tx, n persons.Name, now time.Time, d *audit.Details) (string, error) {
		d.Change = byToken
		return "", change(tx, n, e, now, d)
	})
	if err == nil {
		out.ID = s.TrustDomain.ID(agents.OperatorName(out.Name))
		out.Enrollment = api.Enrollment{Token: e.Token.Reveal(), Expires: e.Expires}
		if out.AdminURL = s.adminURL(); out.AdminURL == "" {
			out.Note = strings.TrimPrefix(out.Note+"; ", "; ") + "nobody can operate by a certificate yet: set listen_admin in brevet.yaml, and restart the server"
		}
	}
	return out, err
}

// adminURL returns where operators come in by their certificates, as far as the server knows.
func (s *Service) adminURL() string {
	at, err := url.Parse(s.Authority.Address.Current())
	if s.AdminPort == "" || err != nil {
		return ""
	}
	return "https://" + net.JoinHostPort(at.Hostname(), s.AdminPort)
}
