package operator

import (
	"context"

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
