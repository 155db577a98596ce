package persons_test

import (
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
)

// TestRoles: they are ordered, and no number that is not a role may do or allow anything.
func TestRoles(t *testing.T) {
	all := []persons.Role{persons.Viewer, persons.Operator, persons.Security, persons.Admin}
	for i, r := range all {
		if got, err := persons.ParseRole(r.String()); err != nil || got != r {
			t.Errorf("%s: got %v, %v", r, got, err)
		}
		for j, s := range all {
			if r.Covers(s) != (i >= j) {
				t.Errorf("%s covers %s: %t", r, s, r.Covers(s))
			}
		}
		for _, none := range []persons.Role{0, persons.Admin + 1, 255} {
			if r.Covers(none) || none.Covers(r) || none.Covers(none) {
				t.Errorf("%s and %d", r, none)
			}
		}
	}
	for _, s := range []string{"", "none", "Admin", "root", strings.Repeat("x", 1000)} {
		if r, err := persons.ParseRole(s); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20q: got %v, %v", s, r, err)
		}
	}
}

// TestRolesOfScopes: each role has a scope, and no other scopes are a role.
func TestRolesOfScopes(t *testing.T) {
	for r := persons.Viewer; r <= persons.Admin; r++ {
		if got, err := agents.ParseScopes(string(r.Scope())); err != nil || persons.RoleOf(got) != r {
			t.Errorf("%s: %v, %v", r, got, err)
		}
	}
	for _, scopes := range [][]agents.Scope{nil, {"brevet:admin"}, {"brevet:admin:none"}, {"brevet:admin:"}, {"viewer"}, {"brevet:admin:viewer", "brevet:admin:admin"}, {"brevet:admin:viewer", "a"}, {persons.Role(0).Scope()}, {persons.Role(9).Scope()}} {
		if r := persons.RoleOf(scopes); r != 0 {
			t.Errorf("%v is the role %s", scopes, r)
		}
	}
}

func TestNames(t *testing.T) {
	for _, s := range []string{"alice", "a", "alice.b-c_d", "7of9", strings.Repeat("a", 63)} {
		if n, err := persons.ParseName(s); err != nil || n.String() != s {
			t.Errorf("%q: got %q, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "Alice", ".alice", "-alice", "_alice", "ali ce", "alice/bob", "alice@example", "älice", "a:b", "a\n", strings.Repeat("a", 64)} {
		if n, err := persons.ParseName(s); err == nil {
			t.Errorf("%q is the name %q", s, n)
		}
	}
}
