package agents

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

// A Grant is a scope, an audience or a role that an agent has until an instant. Nothing
// removes it then: who decides looks at its end. One that has ended stays on record until an
// operator takes it away or gives it again. It is stored with its agent.
type Grant struct {
	// One of these is set.
	Scope    Scope    `json:"scope,omitempty"`
	Audience string   `json:"audience,omitempty"`
	Role     RoleName `json:"role,omitempty"`

	Until  time.Time `json:"until"` // in UTC and whole seconds
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"` // the operator, as the audit log writes them
	Given  time.Time `json:"given"`
}

// maxGrants is how many an agent has at most, those that have ended among them.
const maxGrants = 64

// same reports whether g and h are about the same thing.
func (g Grant) same(h Grant) bool {
	return g.Scope == h.Scope && g.Audience == h.Audience && g.Role == h.Role
}

// String returns what is granted and until when, as the audit log has it: see
// [KeepGrants].
func (g Grant) String() string {
	what := "scope:" + string(g.Scope)
	switch {
	case g.Audience != "":
		what = "audience:" + g.Audience
	case g.Role != "":
		what = "role:" + string(g.Role)
	}
	return what + "=" + g.Until.UTC().Format(time.RFC3339)
}

// Give gives an agent the scopes, audiences and roles of c until its end, beside what it has.
// A grant of the same that has another end is replaced. If the end is the zero time, Give
// takes such grants away. by is the operator who gives them. Give leaves the rest of c to
// [Set].
func Give(tx storage.Tx, n Name, c Change, by string, now time.Time) (Agent, error) {
	if err := mutable(n); err != nil {
		return Agent{}, err
	}
	a, err := Get(tx, n)
	if err != nil {
		return a, err
	}
	if a.State == Decommissioned {
		return a, a.refuse("changed")
	}
	given, err := c.grants(tx, a, by, now)
	if err != nil {
		return a, err
	}
	left := slices.DeleteFunc(slices.Clone(a.Grants), func(g Grant) bool { return slices.ContainsFunc(given, g.same) })
	if !c.Until.IsZero() {
		left = append(left, given...)
	}
	// An earlier version would take what ends for what an agent never had, and forget it.
	if err := format.Need(tx, format.Roles); err != nil {
		return a, err
	}
	a.Grants, a.Changed = left, now
	if err := a.check(); err != nil {
		return a, err
	}
	return a, a.put(tx)
}

// checkGrants refuses a change whose end or reason belongs to nothing.
func (c Change) checkGrants(now time.Time) error {
	switch {
	case c.Until == nil && c.Reason != nil:
		return fmt.Errorf("%w reason: it belongs to grants that end; say until when", ErrInvalid)
	case c.Until == nil:
		return nil
	case len(c.Scopes)+len(c.Audiences)+len(c.Roles) == 0:
		return fmt.Errorf("%w grant: name the scopes, audiences or roles that end", ErrInvalid)
	case !c.Until.IsZero() && !c.Until.After(now):
		return fmt.Errorf("%w end of a grant %s: it lies in the past", ErrInvalid, c.Until.Format(time.RFC3339))
	case c.Reason != nil && CheckText(*c.Reason) != nil:
		return fmt.Errorf("%w reason of a grant: %v", ErrInvalid, CheckText(*c.Reason))
	}
	return nil
}

// grants returns what c gives.
func (c Change) grants(tx storage.Tx, a Agent, by string, now time.Time) (given []Grant, err error) {
	if c.Until == nil {
		return nil, fmt.Errorf("%w grant: it has no end", ErrInvalid)
	}
	if err := c.checkGrants(now); err != nil {
		return nil, err
	}
	scopes, err := parseAll(c.Scopes, parseScope)
	if err != nil {
		return nil, err
	}
	if err := newlyGranted(a.Scopes, scopes); err != nil {
		return nil, err
	}
	audiences, err := parseAll(c.Audiences, ParseAudience)
	if err != nil {
		return nil, err
	}
	names, err := parseRoles(tx, c.Roles, a.roleNames())
	if err != nil {
		return nil, err
	}
	for _, s := range scopes {
		given = append(given, Grant{Scope: s})
	}
	for _, aud := range audiences {
		given = append(given, Grant{Audience: aud})
	}
	for _, r := range names {
		given = append(given, Grant{Role: r})
	}
	for i := range given {
		g := &given[i]
		if g.Until, g.By, g.Given = c.Until.UTC().Truncate(time.Second), by, now; c.Reason != nil {
			g.Reason = *c.Reason
		}
	}
	return given, nil
}

// KeepGrants leaves an agent those of its grants that are among kept, which are written by
// [Grant.String], and none for longer than it says there. It reports whether that took
// anything away. A restore does this with what came after the backup.
func KeepGrants(tx storage.Tx, n Name, kept []string, now time.Time) (bool, error) {
	a, err := Get(tx, n)
	if err != nil {
		return false, err
	}
	var left []Grant
	for _, g := range a.Grants {
		what, _, _ := cutLast(g.String(), "=")
		for _, k := range kept {
			same, end, ok := cutLast(k, "=")
			until, err := time.Parse(time.RFC3339, end)
			if !ok || err != nil || same != what {
				continue
			}
			if until.Before(g.Until) {
				g.Until = until
			}
			left = append(left, g)
			break
		}
	}
	if slices.Equal(left, a.Grants) {
		return false, nil
	}
	a.Grants, a.Changed = left, now
	return true, a.put(tx)
}

// cutLast is strings.Cut around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// drop returns the grants without those of a kind.
func drop(grants []Grant, is func(Grant) bool) []Grant {
	if !slices.ContainsFunc(grants, is) {
		return grants
	}
	return slices.DeleteFunc(slices.Clone(grants), is)
}
