package policy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/storage/audit"
)

// An Engine answers queries by rules of its own. [Rules] are built in. All
// others are asked outside of transactions, and can only narrow what the
// built-in rules grant: first the one that decides by the policies in the store
// ([Point.Applied]), then those that a program brings ([Point.External]).
type Engine interface {
	// Decide answers q, given the facts about its agent; they are zero if q
	// concerns none. External engines get copies of both. If an external engine leaves a list or a time of Granted
	// unset, it grants what the built-in rules grant. An error is a refusal.
	Decide(ctx context.Context, q *Query, facts *agents.Facts) (Decision, error)
}

// maxAnswer is how long the server may rely on the answer of an external engine,
// and so how long it waits for one.
const maxAnswer = 5 * time.Second

// errEngine says that an external engine did not answer.
var errEngine = agents.NewRefusalOf(agents.NotNow, "engine_failed", ErrDenied.Error()+": a policy engine did not answer", ErrDenied)

// errNarrowed says that an external engine left nothing of what was asked for.
var errNarrowed = agents.NewRefusal("narrowed_to_nothing", ErrDenied.Error()+": a policy engine grants nothing of this", ErrDenied)

// ends are the actions that only take something away. External engines are not asked
// about them: a revocation must not fail because an engine is down.
var ends = []audit.Action{
	audit.CertificateRevoke, audit.CredentialRevoke, audit.TokenRevoke, audit.AgentSuspend, audit.AgentDecommission,
	audit.ACMEAccountDeactivate, audit.ACMEAuthorizationDeactivate, audit.KeyCompromise,
}

// consult lets the external engines narrow d. Deny wins over ask, and ask over
// allow. All are asked, unless one denies. inForce tells which policies in the store are in force,
// as far as that is known.
func (p *Point) consult(ctx context.Context, q *Query, facts *agents.Facts, d Decision, inForce *policies.Head) Decision {
	if d.Effect == audit.Deny || q.Principal.Role == audit.System || slices.Contains(ends, q.Action) {
		return d
	}
	switch {
	case p.Applied == nil:
	case inForce != nil && inForce.Number == 0: // there are none, and the transaction that records looks again
		d.Policies = inForce
	default:
		if d = p.apply(ctx, q, facts, d); d.Effect == audit.Deny {
			return d
		}
	}
	if len(p.External) == 0 {
		return d
	}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, maxAnswer)
	defer cancel()
	for _, e := range p.External {
		// Each gets copies: what it writes to them reaches nobody else, and above all not
		// the registry's cache.
		its, known := q.clone(), facts.Clone()
		answer, err := e.Decide(ctx, &its, &known)
		if err == nil {
			err = ctx.Err() // it answered too late
		}
		if err != nil {
			return deny(fmt.Errorf("%w: %w", errEngine, err))
		}
		if d = d.narrow(answer); d.Effect == audit.Deny {
			return d
		}
	}
	d.expires = asked.Add(maxAnswer)
	return d
}

// apply lets the policies in the store narrow d. Their engine is told what the built-in rules
// grant, which is more than the query says if it leaves that to them. If it refuses, the
// event has that, too: [Query.Scopes] may be empty. Its answers do not lapse, because the
// transaction that records asks whether these policies are still in force.
func (p *Point) apply(ctx context.Context, q *Query, facts *agents.Facts, d Decision) Decision {
	its := *q
	its.Names, its.Profile, its.Scopes, its.Audiences = d.Granted.Names, d.Granted.Profile, d.Granted.Scopes, d.Granted.Audiences
	answer, err := p.Applied.Decide(ctx, &its, facts)
	if err != nil {
		return deny(fmt.Errorf("%w: %w", errEngine, err))
	}
	d.Policies = answer.Policies
	if d = d.narrow(answer); d.Effect == audit.Deny {
		q.Scopes, q.Audiences = its.Scopes, its.Audiences
	}
	return d
}

// narrow combines the decision so far, that of the built-in rules and of earlier
// engines, with one more answer.
func (d Decision) narrow(answer Decision) Decision {
	d.Reasons = append(slices.Clip(d.Reasons), answer.Reasons...)
	d.Obligations = append(slices.Clip(d.Obligations), answer.Obligations...)
	switch answer.Effect {
	case audit.Allow:
	case audit.Ask:
		d.Effect, d.Refusal = audit.Ask, ErrApproval
	default:
		d.Effect, d.Refusal = audit.Deny, answer.err()
		if !IsDenial(d.Refusal) {
			d.Refusal = fmt.Errorf("%w: %w", ErrDenied, d.Refusal)
		}
		return d
	}
	g, err := d.Granted.narrow(answer.Granted)
	if err != nil {
		return deny(err)
	}
	d.Granted = g
	return d
}

// narrow returns what is in both grants. Names are those of a request for a
// certificate, which has all of them or is refused.
func (g Granted) narrow(h Granted) (Granted, error) {
	if h.Names != nil && !subset(g.Names, h.Names) || h.Profile != "" && h.Profile != g.Profile {
		return g, errNarrowed
	}
	var ok1, ok2 bool
	g.Scopes, ok1 = common(g.Scopes, h.Scopes)
	g.Audiences, ok2 = common(g.Audiences, h.Audiences)
	if !ok1 || !ok2 {
		return g, errNarrowed
	}
	if !h.NotAfter.IsZero() && h.NotAfter.Before(g.NotAfter) {
		g.NotAfter = h.NotAfter.Truncate(time.Second)
	}
	return g, nil
}

// common returns the items of list that are in limit, unless that is not set.
// It fails if there were items and none is left.
func common[T comparable](list, limit []T) ([]T, bool) {
	if limit == nil || len(list) == 0 {
		return list, true
	}
	var left []T
	for _, v := range list {
		if slices.Contains(limit, v) {
			left = append(left, v)
		}
	}
	return left, len(left) > 0
}
