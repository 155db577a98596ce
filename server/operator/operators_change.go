package operator

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

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
