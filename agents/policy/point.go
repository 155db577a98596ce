package policy

import (
	"context"
	"sync/atomic"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Point is where queries are decided. A server has one, which all its parts share.
type Point struct {
	DB       storage.DB
	Rules    Rules
	Applied  Engine        // decides by the policies in the store, see package policies; nil asks none
	External []Engine      // may narrow what the built-in rules grant
	Quotas   agents.Quotas // at the start, of agents that have none of their own; zero means no limit

	// Decided is told of each decision that was recorded, or counted to be: whether it was a
	// refusal, and the code of that. It may be nil. It must be quick.
	Decided func(action audit.Action, refused bool, code string)

	replaced atomic.Pointer[agents.Quotas] // see SetDefaultQuotas
	pending  pending                       // refusals that are to be recorded
}

func (p *Point) decided(q *Query, refusal error) {
	if p.Decided == nil {
		return
	}
	code := ""
	if refusal != nil {
		if all := codes(refusal); len(all) > 0 {
			code = all[0]
		}
	}
	p.Decided(q.Action, refusal != nil, code)
}

// Decide answers q from what the store holds now. It changes and records nothing.
// An error means that nothing could be decided; the caller must treat it as a
// refusal.
func (p *Point) Decide(ctx context.Context, q Query) (Decision, error) {
	return p.decide(ctx, &q, nil)
}

// decide reads the facts in one snapshot, in which ask may complete q before, and
// decides on them. A refusal by ask is an error.
func (p *Point) decide(ctx context.Context, q *Query, ask func(storage.Tx, *Query) error) (Decision, error) {
	var facts agents.Facts
	var inForce *policies.Head
	if ask != nil || q.Agent != "" {
		var no error
		err := p.DB.View(ctx, func(tx storage.Tx) (err error) {
			if ask != nil {
				if no = ask(tx, q); no != nil {
					return no
				}
			}
			if facts, err = read(tx, q); err == nil && p.Applied != nil && q.Action.Grants() {
				var h policies.Head
				h, err = policies.Current(tx)
				inForce = &h
			}
			return err
		})
		if no != nil && ctx.Err() != nil { // a store may say only that
			err = no
		}
		if err != nil {
			return Decision{}, err
		}
	}
	d, err := p.Rules.Decide(ctx, q, &facts)
	if err != nil {
		return d, err
	}
	return p.consult(ctx, q, &facts, d, inForce), nil
}

func read(tx storage.Tx, q *Query) (agents.Facts, error) {
	if q.Agent == "" {
		return agents.Facts{}, nil
	}
	return agents.ReadFacts(tx, q.Agent)
}

// still returns nil if d still holds in tx: either no fact that d relied on has
// changed, or the built-in rules, asked again, grant as much. External engines are
// not asked again. Policies are asked again, by a new decision, if others are in force or the
// agent has changed: they read its attributes.
func (p *Point) still(ctx context.Context, tx storage.Tx, q *Query, d *Decision) error {
	if d.lapsed() {
		return errAgain
	}
	if err := d.samePolicies(tx); err != nil {
		return err
	}
	facts, err := read(tx, q)
	d.agent = facts.Agent
	d.standing = facts.Standing(tx, q.begins())
	if err != nil || facts.Versions == d.Versions {
		return err
	}
	if d.Policies != nil && d.Policies.Number != 0 {
		return errAgain
	}
	now, err := p.Rules.Decide(ctx, q, &facts)
	if err != nil {
		return err
	}
	if now.Effect != audit.Allow {
		return now.err()
	}
	if !now.Granted.covers(d.Granted) {
		return errAgain
	}
	return nil
}

// samePolicies returns errAgain if the policies in force are others than those that were asked.
func (d *Decision) samePolicies(tx storage.Tx) error {
	if d.Policies == nil {
		return nil
	}
	h, err := policies.Current(tx)
	if err == nil && h != *d.Policies {
		err = errAgain
	}
	return err
}
