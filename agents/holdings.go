package agents

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// Holdings are what an agent may have in tokens at an instant: its own scopes and audiences,
// its grants that have not ended, and what its roles give. Nothing else says so: minting,
// introspection and operators ask it. Scopes and audiences from different sources add up: a
// scope of one role may be used at an audience of another.
type Holdings struct {
	scopes    []Scope  // its own, for good
	audiences []string // likewise
	grants    []Grant
	roles     []HeldRole
	at        time.Time // the zero time looks at no end
}

// A HeldRole is a role that an agent has, until an instant if not for good.
type HeldRole struct {
	Role
	Until time.Time
	Gone  bool // it was removed, and gives nothing; only Name is set of Role
}

// Holdings returns what the agent has at an instant.
func (f *Facts) Holdings(at time.Time) Holdings { return holdings(&f.Agent, f.Roles, at) }

// Held is [Facts.Holdings] for an agent that was read in tx. For an agent that has no roles
// it reads nothing.
func Held(tx storage.Tx, a *Agent, at time.Time) (Holdings, error) {
	held, _, err := a.readRoles(tx)
	return holdings(a, held, at), err
}

// HeldEver is Held for what restricts an agent, or those who let it act: it has also what has
// ended and is still on record.
func HeldEver(tx storage.Tx, a *Agent) (Holdings, error) { return Held(tx, a, time.Time{}) }

func holdings(a *Agent, held []HeldRole, at time.Time) Holdings {
	return Holdings{a.Scopes, a.Audiences, a.Grants, held, at}
}

// roleNames returns the roles on record of an agent: those for good, and then those of grants.
func (a *Agent) roleNames() []RoleName {
	names := a.Roles
	for _, g := range a.Grants {
		if g.Role != "" && !slices.Contains(names, g.Role) {
			names = append(slices.Clip(names), g.Role)
		}
	}
	return names
}

// HasRole reports whether an agent has a role on record, also if its grant has ended or the
// role was removed.
func (a *Agent) HasRole(n RoleName) bool {
	return slices.Contains(a.Roles, n) || slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.Role == n })
}

// readRoles returns the roles of an agent, and their stored form, which changes whenever one
// of them does.
func (a *Agent) readRoles(tx storage.Tx) (held []HeldRole, version string, err error) {
	names := a.roleNames()
	if len(names) == 0 {
		return nil, "", nil
	}
	held = make([]HeldRole, len(names))
	raws := make([]string, len(names))
	for i, n := range names {
		h := &held[i]
		h.Role, raws[i], err = roles.Read(tx, string(n))
		if errors.Is(err, storage.ErrNotFound) || err == nil && !h.Removed.IsZero() {
			h.Role, h.Gone = Role{Name: n}, true
		} else if err != nil {
			return nil, "", err
		}
		if i < len(a.Roles) {
			continue
		}
		for _, g := range a.Grants {
			if g.Role == n {
				h.Until = g.Until
			}
		}
	}
	return held, strings.Join(raws, "\n"), nil // a record is JSON on one line
}

// over reports whether something that has an end has come to it.
func (h *Holdings) over(until time.Time) bool {
	return !until.IsZero() && !h.at.IsZero() && !h.at.Before(until)
}

// Roles returns the roles that the agent has now, without those that were removed.
func (h *Holdings) Roles() (names []RoleName) {
	for i := range h.roles {
		if r := &h.roles[i]; !r.Gone && !h.over(r.Until) {
			names = append(names, r.Name)
		}
	}
	return names
}

// Gone returns those of the agent's roles that were removed.
func (h *Holdings) Gone() (names []RoleName) {
	for i := range h.roles {
		if r := &h.roles[i]; r.Gone {
			names = append(names, r.Name)
		}
	}
	return names
}

// Scopes returns all scopes, the agent's own first.
func (h *Holdings) Scopes() []Scope {
	return union(h, h.scopes, func(g *Grant) Scope { return g.Scope }, func(r *Role) []Scope { return r.Scopes })
}

// Audiences returns all audiences, the agent's own first.
func (h *Holdings) Audiences() []string {
	return union(h, h.audiences, func(g *Grant) string { return g.Audience }, func(r *Role) []string { return r.Audiences })
}

// Details returns the types of authorization_details that the agent may ask for, which only
// roles give.
func (h *Holdings) Details() []string {
	return union(h, nil, func(*Grant) string { return "" }, func(r *Role) []string { return r.Details })
}

// union returns what is held of one kind. It is own itself if there is no more, which is
// shared.
func union[T ~string](h *Holdings, own []T, granted func(*Grant) T, given func(*Role) []T) []T {
	all := slices.Clip(own)
	for i := range h.grants {
		if g := &h.grants[i]; granted(g) != "" && !h.over(g.Until) && !slices.Contains(all, granted(g)) {
			all = append(all, granted(g))
		}
	}
	for i := range h.roles {
		r := &h.roles[i]
		if h.over(r.Until) {
			continue
		}
		for _, v := range given(&r.Role) {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	return all
}

// Has reports whether the agent has a scope.
func (h *Holdings) Has(s Scope) bool {
	held, _ := h.scope(s)
	return held
}

// HasAudience reports whether the agent has an audience.
func (h *Holdings) HasAudience(aud string) bool {
	held, _ := h.audience(aud)
	return held
}

// End returns when the agent loses the first of these, or the zero time if it has all of them
// for good. It passes over what the agent has not: so the authority itself may be among the
// audiences.
func (h *Holdings) End(scopes []Scope, audiences []string) (end time.Time) {
	if len(h.grants) == 0 { // nothing has an end
		return end
	}
	for _, s := range scopes {
		_, until := h.scope(s)
		end = earlier(end, until)
	}
	for _, aud := range audiences {
		_, until := h.audience(aud)
		end = earlier(end, until)
	}
	return end
}

// earlier returns the earlier one of two ends. The zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (h *Holdings) scope(s Scope) (bool, time.Time) {
	return find(h, s, h.scopes, func(g *Grant) Scope { return g.Scope }, func(r *Role) []Scope { return r.Scopes })
}

func (h *Holdings) audience(aud string) (bool, time.Time) {
	return find(h, aud, h.audiences, func(g *Grant) string { return g.Audience }, func(r *Role) []string { return r.Audiences })
}

// find reports whether v is held, and when the last of its sources ends. The zero time is
// never.
func find[T ~string](h *Holdings, v T, own []T, granted func(*Grant) T, given func(*Role) []T) (held bool, last time.Time) {
	if slices.Contains(own, v) {
		return true, last
	}
	for i := range h.roles {
		r := &h.roles[i]
		if h.over(r.Until) || !slices.Contains(given(&r.Role), v) {
			continue
		}
		if r.Until.IsZero() {
			return true, r.Until
		}
		held, last = true, later(last, r.Until)
	}
	for i := range h.grants {
		if g := &h.grants[i]; granted(g) == v && !h.over(g.Until) {
			held, last = true, later(last, g.Until)
		}
	}
	return held, last
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
