package operator

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// An Operator is a person whom brevet.yaml lists.
type Operator struct {
	Name persons.Name
	Role persons.Role
	UIDs []uint32
}

func (s *Service) operatorOperations() []Operation {
	return []Operation{
		operation(s, policy.Read, api.ListOperators, s.listOperators),
		operation(s, policy.Read, api.ShowOperator, s.showOperator),
		operation(s, audit.OperatorAdd, api.AddOperator, s.addOperator),
		operation(s, audit.OperatorEnroll, api.EnrollOperator, s.enrollOperator),
		operation(s, audit.OperatorSet, api.SetOperator, s.setOperator),
		operation(s, audit.OperatorRemove, api.RemoveOperator, s.removeOperator),
		operation(s, audit.OperatorEnroll, api.LinkOperator, s.linkOperator),
		operation(s, audit.OperatorUnkey, api.RemovePasskey, s.removePasskey),
		operation(s, audit.OperatorSuspend, api.SuspendOperator, s.suspendOperator),
		operation(s, audit.OperatorResume, api.ResumeOperator, s.resumeOperator),
	}
}

// current returns p as the store knows it now, unless p is a person who may not operate.
func (s *Service) current(ctx context.Context, p policy.Principal) (now policy.Principal, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		now, err = p.Current(tx, agents.NewStanding(tx, s.Clock.Now()))
		return err
	})
	return now, err
}

// stands returns nil if p may still operate as current said.
func (s *Service) stands(ctx context.Context, p policy.Principal) error {
	return s.DB.View(ctx, func(tx storage.Tx) error { return p.Stands(tx, agents.NewStanding(tx, s.Clock.Now())) })
}

// listed returns what brevet.yaml says of a person, with the zero Role if it does not.
func (s *Service) listed(n persons.Name) Operator {
	for _, o := range s.Operators {
		if o.Name == n {
			return o
		}
	}
	return Operator{Name: n}
}

func (s *Service) listOperators(ctx context.Context, _ policy.Principal, _ struct{}) ([]api.Operator, error) {
	list := []api.Operator{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		all := map[persons.Name]bool{}
		for _, o := range s.Operators {
			all[o.Name] = true
		}
		for p, err := range persons.All(tx) {
			if err != nil {
				return err
			}
			if !p.Added.IsZero() {
				all[p.Name] = true
			}
		}
		for n := range all {
			shown, err := s.shownOperator(tx, n)
			if err != nil {
				return err
			}
			list = append(list, shown)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b api.Operator) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// shownOperator returns a person as operators see them.
func (s *Service) shownOperator(tx storage.Tx, n persons.Name) (out api.Operator, err error) {
	o := s.listed(n)
	p, err := persons.Get(tx, n)
	if err != nil {
		return out, err
	}
	out = api.Operator{Name: string(n), Role: o.Role.String(), UIDs: append([]uint32{}, o.UIDs...), State: "active", Changed: p.Changed, Added: p.Added, Removed: p.Removed}
	switch {
	case !p.Removed.IsZero():
		out.State = "removed"
	case p.Suspended:
		out.State = "suspended"
	}
	for _, k := range p.Passkeys {
		out.Passkeys = append(out.Passkeys, api.Passkey{ID: strict.ToBase64(k.ID), Added: k.Added, Synced: k.Synced})
	}
	if p.Role == 0 {
		return out, nil
	}
	if out.Role = p.Role.String(); o.Role != 0 && o.Role != p.Role {
		out.Role = min(o.Role, p.Role).String()
		out.Note = fmt.Sprintf("brevet.yaml gives %s the role %s, and the store %s: the lesser one holds", n, o.Role, p.Role)
	}
	if p.Added.IsZero() { // see persons.Limit
		return out, nil
	}
	c, err := currentOf(tx, agents.OperatorName(string(n)), s.Clock.Now())
	if c.Key != nil {
		out.CertExpires = c.Credential.ID.Expires()
	}
	return out, err
}

func (s *Service) showOperator(ctx context.Context, _ policy.Principal, in api.Named) (out api.Operator, err error) {
	n, err := persons.ParseName(in.Name)
	if err != nil {
		return out, err
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		if err := s.knownOperator(tx, n); err != nil {
			return err
		}
		out, err = s.shownOperator(tx, n)
		return err
	})
	return out, err
}

// knownOperator returns nil if brevet.yaml lists a person, or they were added.
func (s *Service) knownOperator(tx storage.Tx, n persons.Name) error {
	p, err := persons.Get(tx, n)
	if err == nil && s.listed(n).Role == 0 && p.Added.IsZero() {
		err = fmt.Errorf("%w: brevet.yaml lists no operator %s, and none was added", persons.ErrUnknown, n)
	}
	return err
}

// An operatorChange is a change of one operator.
type operatorChange func(tx storage.Tx, n persons.Name, now time.Time, d *audit.Details) (note string, err error)

// changeOperator runs a change of a person by run, such as [Service.do].
func (s *Service) changeOperator(ctx context.Context, p policy.Principal, name string, action audit.Action, run func(context.Context, policy.Principal, act) error, change operatorChange) (out api.Operator, err error) {
	n, err := persons.ParseName(name)
	if err != nil {
		return out, err
	}
	err = run(ctx, p, act{action: action, subject: string(n), change: func(tx storage.Tx, now time.Time, d *audit.Details) error {
		note, err := change(tx, n, now, d)
		if err != nil {
			return err
		}
		out, err = s.shownOperator(tx, n)
		out.Note = cmp.Or(note, out.Note)
		return err
	}})
	return out, err
}

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

// What an operator was given, as the log has it.
var (
	byToken = []audit.FieldChange{{Field: "enrollment_token"}}
	byLink  = []audit.FieldChange{{Field: "passkey_link"}}
)

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

func (s *Service) setOperator(ctx context.Context, p policy.Principal, in api.SetOperatorRequest) (out api.Operator, err error) {
	role, err := persons.ParseRole(in.Role)
	if err != nil {
		return out, err
	}
	return s.changeOperator(ctx, p, in.Name, audit.OperatorSet, s.do, func(tx storage.Tx, n persons.Name, _ time.Time, d *audit.Details) (note string, err error) {
		_, before, err := persons.SetRole(tx, n, role)
		if d.From, d.To = "", role.String(); before != 0 {
			d.From = before.String()
		}
		if err == nil && before == role {
			note = fmt.Sprintf("%s had the role %s already", n, role)
		}
		return note, err
	})
}

func (s *Service) resumeOperator(ctx context.Context, p policy.Principal, in api.Named) (api.Operator, error) {
	return s.changeOperator(ctx, p, in.Name, audit.OperatorResume, s.do, s.switching(persons.Resume))
}

// switching is the change that suspends or resumes a person. Nobody resumes themselves: a
// suspended person may do nothing.
func (s *Service) switching(change func(storage.Tx, persons.Name, time.Time) (persons.Person, bool, error)) operatorChange {
	return func(tx storage.Tx, n persons.Name, now time.Time, _ *audit.Details) (note string, err error) {
		if err := s.knownOperator(tx, n); err != nil {
			return "", err
		}
		_, changed, err := change(tx, n, now)
		if err == nil && !changed {
			shown, err := s.shownOperator(tx, n)
			return fmt.Sprintf("%s was %s already", n, shown.State), err
		}
		return "", err
	}
}
