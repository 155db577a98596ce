// Package operator has the operations of operators: they register agents, end them
// and their credentials, rotate keys and read the audit log.
//
// Each operation is a function of a principal and a typed request. It knows no
// transport: package admin carries the operations over HTTP, by the table that
// [Service.Operations] returns. All operations are in that table, each with its action,
// and one check there keeps out everybody whose role does not allow it.
package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Service does what operators ask for. Its fields are the parts of the
// authority that it works with.
type Service struct {
	DB          storage.DB
	Policy      *policy.Point
	Cedar       *cedar.Engine
	Authority   *authority.Authority
	TrustDomain agents.TrustDomain
	Operators   []Operator // whom brevet.yaml lists
	AdminPort   string     // where operators with certificates come in, "" if nowhere
	Clock       *clock.Clock
	Log         *slog.Logger
	LastUse     *agents.LastUse
	Stopping    <-chan struct{} // closed when the server is about to stop
	// Reload has the server follow brevet.yaml, and returns the keys that had changed.
	Reload func(context.Context, policy.Principal) ([]string, error)

	sent sentBackups
}

// An Operation is what a transport needs to know about one operation.
type Operation struct {
	Route  string       // over HTTP, see [api.Operation]
	Action audit.Action // what the rules of package policy decide on
	// Do has decode fill in the request and carries it out, if p is an operator.
	Do func(ctx context.Context, p policy.Principal, decode func(request any) error) (answer any, err error)
}

// operation joins an operation of the API and the function that does it, and has the
// rules of package policy say whether p may do this at all. The action is what is decided
// on; it is the one that the change records, if it is a change.
func operation[Q, A any](s *Service, action audit.Action, o api.Operation[Q, A], do func(context.Context, policy.Principal, Q) (A, error)) Operation {
	return Operation{o.Route(), action, func(ctx context.Context, p policy.Principal, decode func(any) error) (any, error) {
		if err := policy.MayOperate(p, policy.Read); err != nil {
			return nil, err
		}
		var in Q
		if err := decode(&in); err != nil {
			return nil, err
		}
		p, err := s.may(ctx, p, action, api.Subject(&in))
		if err != nil {
			return nil, err
		}
		return do(ctx, p, in)
	}}
}

// may returns p as the store knows it now, if p may do an action. The refusal of an operator
// is recorded if the action would be.
func (s *Service) may(ctx context.Context, p policy.Principal, action audit.Action, subject string) (policy.Principal, error) {
	err := policy.MayOperate(p, action)
	if err == nil {
		if p, err = s.current(ctx, p); err == nil {
			err = policy.MayOperate(p, action)
		}
	}
	known := errors.Is(err, policy.ErrOperatorRole) || errors.Is(err, persons.ErrSuspended) || errors.Is(err, policy.ErrCertificate) || errors.Is(err, policy.ErrToken)
	if !known || !action.Allows(audit.Operator) {
		return p, err
	}
	subject = fmt.Sprintf("%.100s", cmp.Or(subject, string(s.TrustDomain)))
	return p, s.Policy.Refuse(ctx, policy.Query{Principal: p, Action: action, Subject: subject, Time: s.Clock.Now()}, err)
}

// MayRead returns nil if p may see what is on record.
func (s *Service) MayRead(ctx context.Context, p policy.Principal) error {
	_, err := s.may(ctx, p, policy.Read, "")
	return err
}

// Operations returns the table of all operations except [Service.Events],
// [Service.Segment] and [Service.Backup], whose answers are streams.
func (s *Service) Operations() []Operation {
	return slices.Concat(s.agentOperations(), s.roleOperations(), s.credentialOperations(), s.keyOperations(), s.logOperations(), s.authorityOperations(), s.operatorOperations(), s.policyOperations())
}

// An act is an operator's change, and what the audit log says about it.
type act struct {
	action  audit.Action
	subject string
	reasons []string      // what the operator gave
	details audit.Details // known before the change; a refusal has them, too
	// prepare, if set, does slow work before any transaction.
	prepare func(context.Context) error
	// change may add to the details.
	change func(tx storage.Tx, now time.Time, d *audit.Details) error
}

// do runs an operator's change through package policy.
func (s *Service) do(ctx context.Context, p policy.Principal, a act) error {
	q := policy.Query{Principal: p, Action: a.action, Subject: a.subject, Time: s.Clock.Now(), Details: a.details}
	err := s.Policy.Do(ctx, q, policy.Act{
		Prepare: func(ctx context.Context, _ *policy.Decision) error {
			if a.prepare == nil {
				return nil
			}
			return a.prepare(ctx)
		},
		Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
			details := a.details
			// The clock is read in the change's turn: a cutoff made at an instant
			// before it would spare what was issued and committed since.
			err := a.change(tx, s.Clock.Now(), &details)
			return policy.Done{Reasons: a.reasons, Details: &details}, err
		},
	})
	if shared, ok := errors.AsType[*agents.SharedKey](err); ok {
		return shared.Whole()
	}
	return err
}

// cutOff is do for a change that ends what was issued until now. "Now" is when the
// change has its turn, and never before the latest issuance: the clock may have been
// set back a little. A full disk does not stop it.
func (s *Service) cutOff(ctx context.Context, p policy.Principal, a act) error {
	change := a.change
	a.change = func(tx storage.Tx, _ time.Time, d *audit.Details) error { return change(tx, s.Clock.Latest(), d) }
	return s.do(storage.Urgent(ctx), p, a)
}
