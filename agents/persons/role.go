// Package persons knows the people who operate the authority: their names, roles and passkeys, the
// challenges that they answer with these, who is suspended and who was removed. Package policy
// decides what a role may do. The certificates of these people are in package agents, see
// [agents.AddOperator].
package persons

import (
	"fmt"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
)

// A Role says how much a person may do. Each role may do all that the ones before it may.
// The zero Role may do nothing.
type Role uint8

const (
	Viewer   Role = iota + 1 // reads
	Operator                 // also adds agents, re-enrolls them and revokes single credentials
	Security                 // also suspends, revokes groups, changes agents, and exports the audit log
	Admin                    // also has keys, backups, restores and operators
)

var roles = []string{"none", "viewer", "operator", "security", "admin"}

// ParseRole returns the role of a name.
func ParseRole(s string) (Role, error) {
	if i := slices.Index(roles, s); i > 0 {
		return Role(i), nil
	}
	return 0, fmt.Errorf("%w role %.80q: want one of %s", agents.ErrInvalid, s, strings.Join(roles[1:], ", "))
}

func (r Role) String() string {
	if int(r) < len(roles) {
		return roles[r]
	}
	return roles[0]
}

// MarshalText and UnmarshalText are String and ParseRole, for JSON.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// Scope is that of an operator's token which limits to r.
func (r Role) Scope() agents.Scope { return agents.ScopeAdmin + agents.Scope(":"+r.String()) }

// RoleOf returns the role that a token with these scopes limits to, or the zero Role if it is no
// operator's.
func RoleOf(scopes []agents.Scope) Role {
	if len(scopes) != 1 {
		return 0
	}
	name, ok := scopes[0].Operates()
	if !ok {
		return 0
	}
	r, err := ParseRole(name)
	if err != nil {
		return 0
	}
	return r
}

// Covers reports whether r may do all that s may. No role covers one that does not exist.
func (r Role) Covers(s Role) bool { return s >= Viewer && s <= Admin && r >= s && r <= Admin }
