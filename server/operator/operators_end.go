package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func (s *Service) suspendOperator(ctx context.Context, p policy.Principal, in api.Named) (api.Operator, error) {
	return s.endOperator(ctx, p, in.Name, audit.OperatorSuspend, s.switching(persons.Suspend))
}

func (s *Service) removeOperator(ctx context.Context, p policy.Principal, in api.Named) (api.Operator, error) {
	return s.endOperator(ctx, p, in.Name, audit.OperatorRemove, func(tx storage.Tx, n persons.Name, now time.Time, _ *audit.Details) (note string, err error) {
		switch _, err = persons.Remove(tx, s.TrustDomain, n, now); {
		case errors.Is(err, persons.ErrRemoved):
			return fmt.Sprintf("%s was removed already", n), nil
		case err == nil && s.listed(n).Role != 0:
			note = fmt.Sprintf("%s is removed: take the user ids of %s out of brevet.yaml, too, where they do nothing any more", n, n)
		}
		return note, err
	})
}

// endOperator runs a change that ends the certificates of an operator, and publishes the CRL.
// Like [Service.end], it counts before the change what the operator had.
func (s *Service) endOperator(ctx context.Context, p policy.Principal, name string, action audit.Action, change operatorChange) (api.Operator, error) {
	var ended []holding
	var left unused
	held := s.surveyedOf(ctx, agents.OperatorName(name))
	out, err := s.changeOperator(ctx, p, name, action, s.cutOff, func(tx storage.Tx, n persons.Name, now time.Time, d *audit.Details) (note string, err error) {
		if ended, err = held(tx, now); err != nil {
			return "", err
		}
		left = unused{}
		before, err := agents.Get(tx, agents.OperatorName(string(n)))
		switch {
		case err == nil:
			left.add(before, now)
		case !errors.Is(err, agents.ErrUnknown): // brevet.yaml alone may list them
			return "", err
		}
		d.Counts = counts(left.counted(count(ended, now, 0)))
		return change(tx, n, now, d)
	})
	if err != nil {
		return out, err
	}
	rc := left.counted(s.receipt(ctx, ended, 0))
	out.Receipt = &rc
	return out, nil
}
