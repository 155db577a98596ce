// Package operator has the operations of operators: they register agents, end them
// and their credentials, rotate keys and read the audit log.
//
// Each operation is a function of a principal and a typed request. It knows no
// transport: package admin carries the operations over HTTP, by the table that
// [Service.Operations] returns. All operations are in that table, and one check
// there keeps out everybody who is not an operator.
package operator

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
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
	Authority   *authority.Authority
	TrustDomain agents.TrustDomain
	BaseURL     string // where CRLs are published
	Directory   string // URL of the ACME directory
	Clock       *clock.Clock
	Log         *slog.Logger
	LastUse     *agents.LastUse
	Stopping    <-chan struct{} // closed when the server is about to stop
	// Reload has the server follow brevet.yaml, and returns the keys that had changed.
	Reload func(context.Context, policy.Principal) ([]string, error)
}

// An Operation is what a transport needs to know about one operation.
type Operation struct {
	Route string // over HTTP, see [api.Operation]
	// Do has decode fill in the request and carries it out, if p is an operator.
	Do func(ctx context.Context, p policy.Principal, decode func(request any) error) (answer any, err error)
}

// operation joins an operation of the API and the function that does it, and has the
// rules of package policy say whether p may operate at all.
func operation[Q, A any](o api.Operation[Q, A], do func(context.Context, policy.Principal, Q) (A, error)) Operation {
	return Operation{o.Route(), func(ctx context.Context, p policy.Principal, decode func(any) error) (any, error) {
		if err := policy.MayOperate(p); err != nil {
			return nil, err
		}
		var in Q
		if err := decode(&in); err != nil {
			return nil, err
		}
		return do(ctx, p, in)
	}}
}

// Operations returns the table of all operations except [Service.Events],
// [Service.Segment] and [Service.Backup], whose answers are streams.
func (s *Service) Operations() []Operation {
	return slices.Concat(s.agentOperations(), s.credentialOperations(), s.keyOperations(), s.logOperations(), s.authorityOperations())
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
	return s.Policy.Do(ctx, q, policy.Act{
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
}

// cutOff is do for a change that ends what was issued until now. "Now" is when the
// change has its turn, and never before the latest issuance: the clock may have been
// set back a little. A full disk does not stop it.
func (s *Service) cutOff(ctx context.Context, p policy.Principal, a act) error {
	change := a.change
	a.change = func(tx storage.Tx, _ time.Time, d *audit.Details) error { return change(tx, s.Clock.Latest(), d) }
	return s.do(storage.Urgent(ctx), p, a)
}
