package cedar

import (
	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// A scope is what a policy says of its principal or resource before its conditions. Most
// policies are about others than those of a request, so they are passed over by their scopes,
// which is faster than to evaluate them. The zero scope has all.
type scope struct {
	kind   cedar.EntityType // the type of the entity; "" means any
	entity cedar.EntityUID
	is, in bool // the entity, or what is in it
}

// scopeOf returns the scope of a node of the policy.
func scopeOf(n ast.IsScopeNode) scope {
	switch s := n.(type) {
	case ast.ScopeTypeEq:
		return scope{entity: s.Entity, is: true}
	case ast.ScopeTypeIn:
		return scope{entity: s.Entity, in: true}
	case ast.ScopeTypeIs:
		return scope{kind: s.Type}
	case ast.ScopeTypeIsIn:
		return scope{kind: s.Type, entity: s.Entity, in: true}
	}
	return scope{}
}

// has reports whether an entity is in the scope. No parent of an entity has parents.
func (s *scope) has(e *cedar.Entity) bool {
	if s.kind != "" && s.kind != e.UID.Type {
		return false
	}
	return !s.is && !s.in || e.UID == s.entity || s.in && e.Parents.Contains(s.entity)
}

func (r *rule) ofPrincipal() *scope { return &r.principal }
func (r *rule) ofResource() *scope  { return &r.resource }

// of returns the rules that have an entity in a scope.
func (all rules) of(e *cedar.Entity, which func(*rule) *scope) rules {
	some := make(rules, 0, len(all))
	for _, r := range all {
		if which(r).has(e) {
			some = append(some, r)
		}
	}
	return some
}
