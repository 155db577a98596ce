package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage/audit"
)

var (
	// ErrName says that a certificate was asked for a name that is not the agent's.
	ErrName = agents.NewRefusal("name_not_granted", "denied: name is not registered for this agent", ErrDenied)
	// ErrScope says that a token was asked for a scope that the agent was not given.
	ErrScope = agents.NewRefusal("scope_not_granted", "denied: scope is not granted to this agent", ErrDenied)
	// ErrAudience says that a token was asked for a resource that the agent was not given.
	ErrAudience = agents.NewRefusal("audience_not_granted", "denied: audience is not granted to this agent", ErrDenied)
)

// Names returns nil if the agent may have all identifiers that it asked for: the
// registry gives it each of them, outright or if it proves control, and it has
// just proven control of those in proven. Otherwise Names fails with [ErrName].
func Names(a agents.Agent, asked, proven []agents.Identifier) error {
	for _, id := range asked {
		i := slices.IndexFunc(a.Identifiers, func(i agents.Identifier) bool { return i.Type == id.Type && i.Value == id.Value })
		switch {
		case i < 0:
			return fmt.Errorf("%w: %.100s; an operator adds it with brevet agent set", ErrName, id.Value)
		case a.Identifiers[i].Challenge && !slices.Contains(proven, id):
			return fmt.Errorf("%w outright: %.100s; it was added with \",challenge\" and must be proven", ErrName, id.Value)
		}
	}
	return nil
}

func own(s agents.Scope) bool { return strings.HasPrefix(string(s), "brevet:") }

// tokenScopes returns the scopes of a token. If the client asked for scopes, these are
// they, provided that the agent has all of them. Otherwise they are all that the
// agent has; scopes for the authority itself, brevet:*, are among them only if the
// agent has no others.
func tokenScopes(h *agents.Holdings, asked []agents.Scope) ([]agents.Scope, error) {
	for _, s := range asked {
		if !h.Has(s) {
			return nil, fmt.Errorf("%w: %s", ErrScope, s)
		}
	}
	if len(asked) > 0 {
		return asked, nil
	}
	all := h.Scopes()
	if others := slices.DeleteFunc(slices.Clone(all), own); len(others) > 0 {
		return others, nil
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: it has none at all", ErrScope)
	}
	return all, nil
}

// tokenAudiences returns the audiences of a token: those asked for if the agent has
// all of them, or else the only one that it has. They are written as in the registry,
// whatever form of the same URI the client used: there the operator wrote what the
// resource server expects, and it is what introspection compares. The authority itself is an
// audience for exactly the tokens whose scopes are its own, brevet:*.
func tokenAudiences(h *agents.Holdings, authority *address.Book, now time.Time, scopes []agents.Scope, asked []string) ([]string, error) {
	var given []string // what there is to choose from
	switch {
	case slices.ContainsFunc(scopes, own) && slices.ContainsFunc(scopes, func(s agents.Scope) bool { return !own(s) }):
		return nil, fmt.Errorf("%w: ask for brevet:* scopes in a token of their own", ErrScope)
	case slices.ContainsFunc(scopes, own) && len(asked) == 0:
		given = []string{authority.Issuer(now)}
	case slices.ContainsFunc(scopes, own):
		given = authority.List().InUse(now)
	case len(asked) == 1 && h.HasAudience(asked[0]): // as most ask
		return asked, nil
	default:
		given = h.Audiences()
	}
	if len(asked) == 0 {
		if len(given) != 1 {
			return nil, fmt.Errorf("%w: it has %d, name one as the resource", ErrAudience, len(given))
		}
		return given, nil
	}
	granted := make([]string, 0, len(asked))
	for _, aud := range asked {
		i := slices.Index(given, aud)
		if i < 0 {
			i = slices.IndexFunc(given, func(has string) bool { return agents.SameAudience(has, aud) })
		}
		if i < 0 {
			return nil, fmt.Errorf("%w: %.100s", ErrAudience, aud)
		}
		if !slices.Contains(granted, given[i]) {
			granted = append(granted, given[i])
		}
	}
	return granted, nil
}

// shortest is how long a credential lives at least. A scope that an agent has for less goes
// into no token.
const shortest = time.Second

// Lifetime returns when a credential of the agent ends: after the lifetime asked
// for, or else the agent's or the usual one. It never ends after the agent does, or
// after the end that l names.
func Lifetime(a *agents.Agent, asked time.Duration, l Limits, now time.Time) (time.Time, error) {
	limit, ttl := l.Max, l.Default
	if a.TTL > 0 {
		limit = min(limit, a.TTL)
		ttl = limit
	}
	if asked != 0 {
		ttl = asked
	}
	if ttl < l.Min || ttl > limit {
		return time.Time{}, fmt.Errorf("%w lifetime %s: agent %s may ask for %s to %s", agents.ErrInvalid, clock.FormatDuration(ttl), a.Name, clock.FormatDuration(l.Min), clock.FormatDuration(limit))
	}
	end := now.Add(ttl)
	for _, bound := range []time.Time{a.Expires, l.Ends} {
		if !bound.IsZero() && end.After(bound) {
			end = bound
		}
	}
	if end = end.Truncate(time.Second); end.Before(now.Add(shortest)) {
		return time.Time{}, fmt.Errorf("%w lifetime: the agent or %s ends at %s", agents.ErrInvalid, l.Of, end.Format(time.RFC3339))
	}
	return end, nil
}

// Rules are the built-in engine: everybody may do what their role is for, and an
// active agent gets what the registry gives it.
type Rules struct {
	Authority   *address.Book // where the authority is: the audience of tokens for itself
	TrustDomain agents.TrustDomain
}

// errRole says that an action is not for such a principal.
var errRole = agents.NewRefusal("role", "denied: this is not for such a principal to do", ErrDenied)

// errNobody says that a query asks for what only an agent can be granted, but names none.
var errNobody = agents.NewRefusal("no_agent", "denied: this can be granted to a registered agent only, and none was named", ErrDenied)

// Decide answers q.
func (r Rules) Decide(_ context.Context, q *Query, facts *agents.Facts) (Decision, error) {
	if !q.Action.Allows(q.Principal.Role) {
		return deny(fmt.Errorf("%w: %s by %s", errRole, q.Action, q.Principal.Actor)), nil
	}
	if q.Principal.Role&audit.Operator != 0 {
		if err := MayOperate(q.Principal, q.Action); err != nil {
			return deny(err), nil
		}
	}
	var g Granted
	var err error
	switch {
	case q.Agent != "":
		g, err = r.grant(q, facts)
	case q.Action.Grants() || q.asks():
		err = fmt.Errorf("%w: %s", errNobody, q.Action)
	}
	if err != nil {
		return deny(err), nil
	}
	return Decision{Effect: audit.Allow, Granted: g, Versions: facts.Versions}, nil
}

// grant returns what the registry gives the agent.
func (r Rules) grant(q *Query, facts *agents.Facts) (g Granted, err error) {
	a := &facts.Agent
	begins := q.begins()
	if err := a.Usable(begins); err != nil {
		return g, err
	}
	if !facts.Cutoff.At.IsZero() && !begins.After(facts.Cutoff.At) {
		return g, fmt.Errorf("%w: what agent %s obtains is dead until %s (%s)", agents.ErrRevoked, a.Name, facts.Cutoff.At.UTC().Format(time.RFC3339), facts.Cutoff.Reason)
	}
	if err := Names(*a, q.Names, q.Proven); err != nil {
		return g, err
	}
	g.Names, g.Profile = q.Names, q.Profile
	limits := q.Limits
	_, person := q.Agent.Person()
	switch {
	case q.Action != audit.TokenMint:
	case person:
		if g.Scopes, g.Audiences, err = r.operatorToken(q); err != nil {
			return g, err
		}
	default:
		held := facts.Holdings(begins.Add(shortest - 1))
		if g.Scopes, err = tokenScopes(&held, q.Scopes); err != nil {
			return g, err
		}
		if g.Audiences, err = tokenAudiences(&held, r.Authority, begins, g.Scopes, q.Audiences); err != nil {
			return g, err
		}
		if end := held.End(g.Scopes, g.Audiences); !end.IsZero() && (limits.Ends.IsZero() || end.Before(limits.Ends)) {
			limits.Ends, limits.Of = end, "a grant that it needs"
		}
	}
	if q.Limits != (Limits{}) {
		g.NotAfter, err = Lifetime(a, q.Lifetime, limits, begins)
	}
	return g, err
}
