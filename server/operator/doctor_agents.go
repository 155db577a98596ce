package operator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
)

const (
	// manyRights is from how many scopes and audiences on the doctor names an agent.
	manyRights = 20
	// lookedBack is how many of the latest events it reads.
	lookedBack = 10_000
)

// unseenFor is for how long an agent that nobody misses has used nothing.
var unseenFor = days(30)

var rightChecks = []check{
	{"brevet-scopes", overPrivilege, api.Warning, "agents that have a scope of brevet's own: brevet:introspect or brevet:proxy",
		"take it away unless the agent is a resource server or a proxy: brevet agent set NAME --scope SCOPE",
		those(func(_ *examination, p patient) bool {
			return slices.ContainsFunc(p.held.Scopes(), func(s agents.Scope) bool { return strings.HasPrefix(string(s), "brevet:") })
		})},
	{"many-rights", overPrivilege, api.Warning, fmt.Sprintf("agents that have more than %d scopes and audiences", manyRights),
		"give what one task needs: brevet role add ROLE --scope SCOPE, and brevet agent set NAME --role ROLE",
		those(func(_ *examination, p patient) bool { return len(p.held.Scopes())+len(p.held.Audiences()) > manyRights })},
	{"rights-unused", overPrivilege, api.Warning, "agents that have scopes or audiences, and were never seen in 30 days or more",
		"take them away: brevet agent set NAME --clear scope --clear audience",
		those(func(e *examination, p patient) bool {
			return p.seen.IsZero() && e.unseen(p) && len(p.held.Scopes())+len(p.held.Audiences()) > 0
		})},
}

var ownerChecks = []check{
	{"acts-without-name", unattributed, api.Warning, fmt.Sprintf("events, among the last %d, of a user of the machine without a name", lookedBack),
		"name the users in brevet.yaml (operators: {UID: {name: NAME, role: ROLE}}), or run brevet operator add NAME", namelessActs},
	{"owner-unknown", unattributed, api.Warning, "agents whose owner is not an operator on record",
		"run brevet operator add NAME, or name another owner: brevet agent set NAME --owner WHO",
		those(func(e *examination, p patient) bool { return e.owner(p) == "" })},
	{"owner-gone", orphans, api.Warning, "agents whose owner is suspended or removed as an operator",
		"name another owner: brevet agent set NAME --owner WHO; or brevet agent decommission NAME",
		those(func(e *examination, p patient) bool { return e.owner(p) != "" && e.owner(p) != "active" })},
	{"agent-unseen", orphans, api.Warning, "active agents that were not seen for 30 days",
		"ask the owner, and run brevet agent suspend NAME; brevet agent list --stale 30d lists them",
		those(func(e *examination, p patient) bool { return p.State == agents.Active && e.unseen(p) })},
	{"agent-expired", orphans, api.Warning, "agents whose expiry has passed",
		"run brevet agent decommission NAME, or brevet agent set NAME --expires DATE",
		those(func(e *examination, p patient) bool { return !p.Expires.IsZero() && !e.now.Before(p.Expires) })},
}

// unseen reports whether an agent used nothing for unseenFor, as far as that is on record.
func (e *examination) unseen(p patient) bool {
	return e.now.Sub(latest(p.seen, p.Created, p.Invited, e.recorded)) >= unseenFor
}

// owner returns the state of the operator who is the agent's owner, or "" if the owner is not an
// operator.
func (e *examination) owner(p patient) string {
	if e.owners == nil {
		e.owners = map[string]string{}
	}
	state, known := e.owners[p.Owner]
	if known {
		return state
	}
	if n, err := persons.ParseName(p.Owner); err == nil {
		state = e.operatorState(n)
	}
	e.owners[p.Owner] = state
	return state
}

func (e *examination) operatorState(n persons.Name) string {
	person, err := persons.Get(e.tx, n)
	switch {
	case err != nil:
		return ""
	case !person.Removed.IsZero():
		return "removed"
	case person.Suspended:
		return "suspended"
	case person.Added.IsZero() && len(e.s.listed(n).UIDs) == 0:
		return ""
	}
	return "active"
}

func namelessActs(e *examination) (found []string, err error) {
	size, err := audit.Size(e.tx)
	if err != nil {
		return nil, err
	}
	left, _, err := audit.Sealed(e.tx)
	if err != nil {
		return nil, err
	}
	for event, err := range audit.Since(e.tx, max(left, size-lookedBack)) {
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(event.Actor, "uid=") {
			found = append(found, fmt.Sprintf("%d %s %s", event.Seq, event.Actor, event.Action))
		}
	}
	return found, nil
}
