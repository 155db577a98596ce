// Package policy decides what agents and operators may do, and records the
// decisions. A [Query] says who asks for what; a [Decision] says yes, no or
// that somebody must approve first. The built-in [Rules] are those of the
// registry: an agent gets the names, scopes and audiences that it was given,
// and nothing by default.
//
// [Point.Do] is the one way to change the registry or to record a credential:
// the change and its audit event are one transaction, and refusals are recorded
// too.
package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// An Act is what is done if a query is allowed. Any of its functions may be nil.
// Each may run several times.
type Act struct {
	// Ask completes the query in the snapshot that it is decided on, such as by
	// finding out who asks. If it refuses, that is recorded only if the query
	// has a subject by then: strangers cannot fill the log.
	Ask func(storage.Tx, *Query) error
	// Prepare does slow work outside of any transaction, such as signing what the
	// decision grants, or less than that.
	Prepare func(context.Context, *Decision) error
	// Change runs in the transaction that records the decision. It may run twice,
	// so outside of tx it touches only variables that it sets again on each run.
	Change func(storage.Tx, *Decision) (Done, error)

	// Fulfils are the obligations that the functions know and fulfil. A decision
	// with any other obligation is a refusal.
	Fulfils []Obligation
}

func (a *Act) fulfils(obligations []Obligation) error {
	for _, o := range obligations {
		if !slices.Contains(a.Fulfils, o) {
			return fmt.Errorf("%w: %.100q", errObligation, o)
		}
	}
	return nil
}

// Done is what the audit log says of a change.
type Done struct {
	Reasons    []string
	Subject    string         // where the query could not name it yet
	Credential string         // the credential made or ended, if it is one
	Details    *audit.Details // instead of the query's
}

// errAgain says that the facts have changed since the decision. It is not a refusal.
var errAgain = errors.New("what was decided on has changed")

// Do decides on a snapshot, prepares outside of any transaction, and then makes
// the change and records its event in one transaction, if the decision and the claim
// of q still hold there. If the decision does not, Do starts over once.
//
// If any phase refuses, nothing of the change remains, and the refusal is
// recorded in a transaction of its own: inside the failed one it would be rolled
// back. It is returned as it is, or as [Unrecorded]. Any error that Change
// returns counts as a refusal. A decision to ask is recorded as such, and
// [ErrApproval] is returned.
func (p *Point) Do(ctx context.Context, q Query, a Act) error {
	q.complete(ctx)
	var asked Query
	for range 2 {
		asked = q
		if err := p.try(ctx, &asked, a); err != errAgain {
			return err
		}
	}
	return p.refuse(ctx, &asked, &Decision{}, "", errOutdated)
}

func (p *Point) try(ctx context.Context, q *Query, a Act) error {
	d, err := p.decide(ctx, q, a.Ask)
	if err != nil {
		return p.refuseKnown(ctx, q, err)
	}
	err = cmp.Or(d.err(), a.fulfils(d.Obligations))
	if err == nil && a.Prepare != nil {
		err = a.Prepare(ctx, &d)
	}
	if err != nil {
		if !IsDenial(err) {
			return err
		}
		return p.refuse(ctx, q, &d, "", err)
	}
	return p.commit(ctx, q, &d, a)
}

// Refuse records that q is refused because of reason, where that was found out
// before there was anything to decide: what came could not be read, or did not
// prove who sent it. It returns reason, or an [Unrecorded]. Only a [Refusal] is
// recorded, and only if q has a subject: strangers cannot fill the log.
func (p *Point) Refuse(ctx context.Context, q Query, reason error) error {
	q.complete(ctx)
	return p.refuseKnown(ctx, &q, reason)
}

func (p *Point) refuseKnown(ctx context.Context, q *Query, reason error) error {
	if !IsDenial(reason) {
		return reason
	}
	if q.Subject == "" {
		p.decided(q, reason)
		return reason
	}
	return p.refuse(ctx, q, &Decision{}, "", reason)
}

// commit makes the change and its event one transaction.
func (p *Point) commit(ctx context.Context, q *Query, d *Decision, a Act) error {
	var done Done
	var refusal error
	err := p.DB.Update(ctx, func(tx storage.Tx) error {
		done = Done{Subject: cmp.Or(q.Subject, string(q.Claim.agent))} // until the change says more
		if refusal = p.still(ctx, tx, q, d); refusal == nil {
			refusal = q.claimed(tx, d.standing)
		}
		if refusal == nil && a.Change != nil {
			done, refusal = a.Change(tx, d)
		}
		if refusal == nil {
			refusal = p.charge(tx, q, d, &done)
		}
		if refusal != nil {
			return refusal
		}
		_, err := audit.Append(tx, event(q, d, done))
		return err
	})
	switch {
	case refusal != nil && refusal != errAgain && ctx.Err() != nil && errors.Is(err, ctx.Err()): // the caller gave up after the refusal
	case refusal == nil || !errors.Is(err, refusal):
		if err == nil {
			p.decided(q, nil)
		}
		return err // that of a commit, which undid what the change saw, comes before a refusal
	case refusal == errAgain:
		return errAgain
	}
	return p.refuse(ctx, q, d, done.Subject, refusal)
}

// refuse records that q was refused because of reason, and returns reason, or an
// [Unrecorded] if it could not be recorded. This is where the number of refusals on
// record is bounded, whatever the client is told: see countsOnly. A caller that has given
// up (its context is done) is still recorded. No refusal is urgent.
func (p *Point) refuse(ctx context.Context, q *Query, d *Decision, subject string, reason error) error {
	p.decided(q, reason)
	no := *d
	if no.Effect != audit.Ask || !errors.Is(reason, ErrApproval) {
		if no.Effect, no.Reasons = audit.Deny, codes(reason); no.Reasons == nil {
			no.Reasons = []string{"other"} // such as an error of the store
		}
		if d.Effect == audit.Deny && d.Policies != nil { // which of them decided
			no.Reasons = append(no.Reasons, d.Reasons...)
		}
	}
	e := event(q, &no, Done{Subject: subject, Reasons: []string{recorded(reason)}})
	if countsOnly(ctx, q, &e) {
		p.pending.add(counted{e, e.Time, 1})
		return reason
	}
	var room bool
	err := p.DB.Update(context.Background(), func(tx storage.Tx) (err error) {
		if room, err = p.chargeRefusal(tx, q, d, subject); err == nil && room {
			_, err = audit.Append(tx, e)
		}
		return err
	})
	if err == nil && !room {
		p.pending.add(counted{e, e.Time, 1})
	}
	if err != nil {
		return &Unrecorded{reason, err}
	}
	return reason
}

// lapsed reports whether the answers of external engines are too old.
func (d *Decision) lapsed() bool { return !d.expires.IsZero() && !time.Now().Before(d.expires) }
