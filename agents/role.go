package agents

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

// A RoleName names a [Role]. It is written like an agent's name.
type RoleName string

// ParseRoleName returns s as the name of a role.
func ParseRoleName(s string) (RoleName, error) {
	if err := checkLabel(s); err != nil {
		return "", fmt.Errorf("%w role %q: %v", ErrInvalid, clip(s), err)
	}
	return RoleName(s), nil
}

func (n RoleName) String() string { return string(n) }

// A Role is a named set of what agents may have in tokens. The record of an agent has only
// the names of its roles, so a change of a role holds for all of them at once: see
// [Holdings]. It is stored as JSON: fields may be added, and none changes its meaning.
type Role struct {
	Name        RoleName  `json:"name"`
	Description string    `json:"description,omitempty"`
	Scopes      []Scope   `json:"scopes,omitempty"`
	Audiences   []string  `json:"audiences,omitempty"`
	Details     []string  `json:"details,omitempty"` // types of authorization_details (RFC 9396, section 2)
	Created     time.Time `json:"created"`
	Changed     time.Time `json:"changed"`
	Removed     time.Time `json:"removed,omitzero"` // since then it gives nothing, and there may be another of its name
}

// roles holds the roles by name. Each request of an agent reads those that it has.
var roles = storage.NewMemo(storage.Table[Role]("roles"))

var (
	// ErrRoleUnknown says that there is no role of this name.
	ErrRoleUnknown = NewRefusal("role_unknown", "there is no such role", storage.ErrNotFound)
	// ErrRoleKnown says that a role is there already.
	ErrRoleKnown = NewRefusal("role_known", "there is such a role already", storage.ErrExists)
	// ErrRoleHeld says that agents have a role on record.
	ErrRoleHeld = NewRefusal("role_held", "agents have this role", storage.ErrExists)
)

// GetRole returns the role, or [ErrRoleUnknown]. Its slices are shared: a change makes new
// ones.
func GetRole(tx storage.Tx, n RoleName) (Role, error) {
	r, err := roles.Get(tx, string(n))
	if err == nil && !r.Removed.IsZero() {
		return r, fmt.Errorf("%w: %s was removed at %s", ErrRoleUnknown, n, r.Removed.UTC().Format(time.RFC3339))
	}
	if errors.Is(err, storage.ErrNotFound) {
		return r, fmt.Errorf("%w: %s", ErrRoleUnknown, n)
	}
	return r, err
}

// Roles yields the roles in the order of their names.
func Roles(tx storage.Tx) iter.Seq2[Role, error] {
	return func(yield func(Role, error) bool) {
		for r, err := range roles.Scan(tx, "") {
			if (err != nil || r.Removed.IsZero()) && !yield(r, err) {
				return
			}
		}
	}
}

// A RoleChange is what an operator writes about a role, as text that is not checked yet. A nil
// field leaves the role's as it is; an empty list empties it.
type RoleChange struct {
	Description *string
	Scopes      []string
	Audiences   []string
	Details     []string
}

// AddRole makes a role. If agents still have a role of this name that was removed, AddRole
// fails with [ErrRoleHeld]: nobody decided that they get the new one.
func AddRole(tx storage.Tx, n RoleName, c RoleChange, now time.Time) (Role, error) {
	if _, err := GetRole(tx, n); !errors.Is(err, ErrRoleUnknown) {
		if err == nil {
			err = fmt.Errorf("%w: %s; change it with brevet role set", ErrRoleKnown, n)
		}
		return Role{}, err
	}
	held, err := RoleHolders(tx, n)
	if err != nil {
		return Role{}, err
	}
	if len(held) > 0 {
		return Role{}, fmt.Errorf("%w: %s of a role %s that was removed; take it from them with brevet agent set, or use another name", ErrRoleHeld, holders(held), n)
	}
	// An earlier version would not see what agents have by roles, nor that it ends.
	if err := format.Need(tx, format.Roles); err != nil {
		return Role{}, err
	}
	return c.apply(tx, Role{Name: n, Created: now}, now)
}

// SetRole changes a role as c says.
func SetRole(tx storage.Tx, n RoleName, c RoleChange, now time.Time) (Role, error) {
	r, err := GetRole(tx, n)
	if err != nil {
		return r, err
	}
	return c.apply(tx, r, now)
}

// RemoveRole ends a role. If agents have it, it fails with [ErrRoleHeld] unless it is forced:
// then the name stays on their records and gives them nothing, and no other role gets it.
// It returns the role as it was, and who had it. A role that was removed already stays so.
func RemoveRole(tx storage.Tx, n RoleName, force bool, now time.Time) (Role, []Name, error) {
	r, err := GetRole(tx, n)
	if errors.Is(err, ErrRoleUnknown) && !r.Removed.IsZero() {
		return r, nil, nil
	}
	if err != nil {
		return r, nil, err
	}
	held, err := RoleHolders(tx, n)
	if err != nil {
		return r, nil, err
	}
	if len(held) > 0 && !force {
		return r, held, fmt.Errorf("%w: %s; --force takes it from them", ErrRoleHeld, holders(held))
	}
	return r, held, roles.Put(tx, string(n), Role{Name: n, Created: r.Created, Changed: now, Removed: now})
}

// RoleHolders returns the agents that have a role on record, also those whose grant of it has
// ended. It looks at all agents.
func RoleHolders(tx storage.Tx, n RoleName) ([]Name, error) {
	held, err := AllRoleHolders(tx)
	return held[n], err
}

// AllRoleHolders is RoleHolders for all roles.
func AllRoleHolders(tx storage.Tx) (map[RoleName][]Name, error) {
	held := map[RoleName][]Name{}
	for a, err := range All(tx) {
		if err != nil {
			return nil, err
		}
		if a.State == Decommissioned {
			continue
		}
		for _, n := range a.roleNames() {
			held[n] = append(held[n], a.Name)
		}
	}
	return held, nil
}

// holders names agents, as many as a person reads.
func holders(names []Name) string {
	var some []string
	for _, n := range names[:min(len(names), 5)] {
		some = append(some, string(n))
	}
	text := strings.Join(some, ", ")
	if more := len(names) - len(some); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// apply checks c, and makes r what it says.
func (c RoleChange) apply(tx storage.Tx, r Role, now time.Time) (Role, error) {
	if c.Description != nil {
		r.Description = *c.Description
	}
	var err error
	if c.Scopes != nil {
		before := r.Scopes
		if r.Scopes, err = parseAll(c.Scopes, parseScope); err != nil {
			return r, err
		}
		if err := newlyGranted(before, r.Scopes); err != nil {
			return r, err
		}
	}
	if c.Audiences != nil {
		if r.Audiences, err = parseAll(c.Audiences, ParseAudience); err != nil {
			return r, err
		}
	}
	if c.Details != nil {
		if r.Details, err = parseAll(c.Details, ParseDetailsType); err != nil {
			return r, err
		}
	}
	r.Changed = now
	if err := r.check(); err != nil {
		return r, err
	}
	return r, roles.Put(tx, string(r.Name), r)
}

func (r Role) check() error {
	if err := CheckText(r.Description); err != nil {
		return fmt.Errorf("%w description of role %s: %v", ErrInvalid, r.Name, err)
	}
	if len(r.Scopes) > 64 || len(r.Audiences) > 64 || len(r.Details) > 64 {
		return fmt.Errorf("%w role %s: at most 64 scopes, audiences and types of details", ErrInvalid, r.Name)
	}
	return nil
}

// ParseDetailsType checks that s can be the type of an object in authorization_details
// (RFC 9396, section 2): here it is visible ASCII, such as payment_initiation or a URL.
func ParseDetailsType(s string) (string, error) {
	if s == "" || len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return "", fmt.Errorf("%w type of authorization_details %q: want 1 to 128 visible ASCII characters without quotes and backslashes", ErrInvalid, clip(s))
	}
	return s, nil
}

// parseRoles returns the roles that are named, each of which must be there unless an agent
// has it on record already.
func parseRoles(tx storage.Tx, texts []string, has []RoleName) ([]RoleName, error) {
	return parseAll(texts, func(s string) (RoleName, error) {
		n, err := ParseRoleName(s)
		if err != nil {
			return n, err
		}
		for _, old := range has {
			if old == n {
				return n, nil
			}
		}
		_, err = GetRole(tx, n)
		return n, err
	})
}
