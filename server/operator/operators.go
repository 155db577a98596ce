package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
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
		operation(s, audit.OperatorSuspend, api.SuspendOperator, s.suspendOperator),
		operation(s, audit.OperatorResume, api.ResumeOperator, s.resumeOperator),
	}
}

// stands returns nil unless p is a person who is suspended.
func (s *Service) stands(ctx context.Context, p policy.Principal) error {
	return s.DB.View(ctx, p.Stands)
}

func (s *Service) listOperators(ctx context.Context, _ policy.Principal, _ struct{}) ([]api.Operator, error) {
	list := []api.Operator{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		for _, o := range s.Operators {
			p, err := persons.Get(tx, o.Name)
			if err != nil {
				return err
			}
			list = append(list, o.shown(p))
		}
		return nil
	})
	slices.SortFunc(list, func(a, b api.Operator) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// shown returns o as operators see it. p is what the store has of the person.
func (o Operator) shown(p persons.Person) api.Operator {
	state := "active"
	if p.Suspended {
		state = "suspended"
	}
	return api.Operator{Name: string(o.Name), Role: o.Role.String(), UIDs: o.UIDs, State: state, Changed: p.Changed}
}

// operator returns the operator of a name.
func (s *Service) operator(name string) (Operator, error) {
	n, err := persons.ParseName(name)
	if err != nil {
		return Operator{}, err
	}
	for _, o := range s.Operators {
		if o.Name == n {
			return o, nil
		}
	}
	return Operator{Name: n}, fmt.Errorf("%w: brevet.yaml lists no operator %s", storage.ErrNotFound, n)
}

func (s *Service) showOperator(ctx context.Context, _ policy.Principal, in api.Named) (out api.Operator, err error) {
	o, err := s.operator(in.Name)
	if err != nil {
		return out, err
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		p, err := persons.Get(tx, o.Name)
		out = o.shown(p)
		return err
	})
	return out, err
}

func (s *Service) suspendOperator(ctx context.Context, p policy.Principal, in api.Named) (api.Operator, error) {
	return s.changeOperator(storage.Urgent(ctx), p, in.Name, audit.OperatorSuspend, persons.Suspend)
}

func (s *Service) resumeOperator(ctx context.Context, p policy.Principal, in api.Named) (api.Operator, error) {
	return s.changeOperator(ctx, p, in.Name, audit.OperatorResume, persons.Resume)
}

// changeOperator suspends or resumes a person. Nobody resumes themselves: a suspended
// person may do nothing.
func (s *Service) changeOperator(ctx context.Context, p policy.Principal, name string, action audit.Action, change func(storage.Tx, persons.Name, time.Time) (persons.Person, bool, error)) (out api.Operator, err error) {
	o, err := s.operator(name)
	if policy.IsDenial(err) || o.Name == "" {
		return out, err
	}
	unlisted := err
	err = s.do(ctx, p, act{action: action, subject: string(o.Name), change: func(tx storage.Tx, now time.Time, _ *audit.Details) error {
		if unlisted != nil {
			return agents.NewRefusal("operator_unknown", unlisted.Error(), unlisted)
		}
		person, changed, err := change(tx, o.Name, now)
		if out = o.shown(person); !changed {
			out.Note = fmt.Sprintf("%s was %s already", o.Name, out.State)
		}
		return err
	}})
	return out, err
}
