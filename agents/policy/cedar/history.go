package cedar

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A History rebuilds the attributes that agents had from the events of the audit log, which
// it gets in their order. The zero History knows no agents.
type History struct {
	agents map[string]*agents.Agent
	gone   map[string]bool // roles that were removed
}

// Know adds an agent as it is now, for a log that does not begin with the first event. Events
// about it come after.
func (h *History) Know(a agents.Agent) {
	if h.agents == nil {
		h.agents = map[string]*agents.Agent{}
	}
	h.agents[string(a.Name)] = &a
}

// Follow notes what an event changed of an agent.
func (h *History) Follow(e *audit.Event) {
	if e.Decision != audit.Allow {
		return
	}
	switch e.Action {
	case audit.RoleAdd, audit.RoleRemove:
		if h.gone == nil {
			h.gone = map[string]bool{}
		}
		h.gone[e.Subject] = e.Action == audit.RoleRemove
	case audit.AgentAdd, audit.AgentSet:
		h.followAgent(e)
	}
}

func (h *History) followAgent(e *audit.Event) {
	if e.Action == audit.AgentAdd {
		h.Know(agents.Agent{Name: agents.Name(e.Subject), Created: e.Time})
	}
	a := h.agents[e.Subject]
	if a == nil || e.Details == nil {
		return
	}
	for _, c := range e.Details.Change {
		change(a, c)
	}
}

// change makes one change of an agent as the log has it.
func change(a *agents.Agent, c audit.FieldChange) {
	switch c.Field {
	case "owner":
		a.Owner = c.To
	case "purpose":
		a.Purpose = c.To
	case "labels":
		a.Labels = labels(c.To)
	case "roles":
		a.Roles = nil
		for _, s := range strings.Fields(c.To) {
			a.Roles = append(a.Roles, agents.RoleName(s))
		}
	case "grants":
		a.Grants = grants(c.To)
	case "expires":
		a.Expires, _ = time.Parse(time.RFC3339, c.To) // "" means never
	}
}

// grants reads the roles among the grants of an event: role:NAME=TIME, with spaces between them.
func grants(text string) (list []agents.Grant) {
	for _, word := range strings.Fields(text) {
		rest, ok := strings.CutPrefix(word, "role:")
		name, end, _ := strings.Cut(rest, "=")
		if until, err := time.Parse(time.RFC3339, end); ok && err == nil {
			list = append(list, agents.Grant{Role: agents.RoleName(name), Until: until})
		}
	}
	return list
}

// roles returns the roles that an agent had at a time.
func (h *History) roles(a *agents.Agent, at time.Time) (names []agents.RoleName) {
	add := func(n agents.RoleName) {
		if !h.gone[string(n)] && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for _, n := range a.Roles {
		add(n)
	}
	for _, g := range a.Grants {
		if g.Role != "" && at.Before(g.Until) {
			add(g.Role)
		}
	}
	return names
}

// labels reads the labels of an event: KEY=VALUE, with a space between them. A value may have
// spaces, too.
func labels(text string) map[string]string {
	all, last := map[string]string{}, ""
	for _, word := range strings.Split(text, " ") {
		k, v, ok := strings.Cut(word, "=")
		if ok && agents.CheckLabel(k, v) == nil {
			all[k], last = v, k
		} else if last != "" {
			all[last] += " " + word
		}
	}
	return all
}

// An Asked is a request on record.
type Asked struct {
	Request Request
	Allowed bool
	Version int64    // of the policies that decided, or 0
	Rules   []string // those that determined it
	Partial bool     // the event has not all that was asked for
}

// Asked returns what an event says that an agent asked for. It reports false if policies have
// no part in it: they do not decide such an action, something else refused it, or the agent
// is not known.
func (h *History) Asked(e *audit.Event) (asked Asked, ok bool) {
	if !Decides(e.Action) || !agents.Name(e.Subject).OfAgent() || e.Details == nil {
		return asked, false
	}
	a := h.agents[e.Subject]
	if a == nil {
		return asked, false
	}
	d := e.Details
	asked.Allowed = e.Decision == audit.Allow
	if asked.Version, asked.Rules = ParseReasons(d.Codes); !asked.Allowed && !refusedBy(d.Codes) {
		return asked, false
	}
	r := &asked.Request
	*r = Request{Agent: *a, Roles: h.roles(a, e.Time), Action: e.Action, Peer: d.Peer, Proof: d.Proof, Time: e.Time, Profile: d.Profile}
	for _, s := range asked.whole(d.Scopes) {
		r.Scopes = append(r.Scopes, agents.Scope(s))
	}
	r.Audiences = asked.whole(d.Audiences)
	for _, n := range asked.whole(d.Names) {
		r.Names = append(r.Names, identifier(n))
	}
	if e.Action == audit.TokenMint {
		r.Profile = ""
	}
	return asked, true
}

// refusedBy reports whether policies refused a request.
func refusedBy(codes []string) bool {
	return slices.ContainsFunc(codes, func(c string) bool { return strings.HasPrefix(c, "policy_") })
}

// whole returns the items of a list. The last one may say how many more there were.
func (a *Asked) whole(list []string) []string {
	if n := len(list); n > 0 && strings.HasPrefix(list[n-1], "… (") {
		a.Partial = true
		return list[:n-1]
	}
	return list
}

// identifier returns a name of a certificate by its value.
func identifier(s string) agents.Identifier {
	if _, err := netip.ParseAddr(s); err == nil {
		return agents.Identifier{Type: "ip", Value: s}
	}
	return agents.Identifier{Type: "dns", Value: s}
}
