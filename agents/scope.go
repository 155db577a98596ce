package agents

import (
	"fmt"
	"slices"
	"strings"
)

// A Scope is a named permission: an OAuth scope-token (RFC 6749, section 3.3).
// It is granted in the registry and only ever narrowed after that.
type Scope string

// The scopes that brevet itself knows.
const (
	ScopeIntrospect Scope = "brevet:introspect" // may ask about other agents' tokens
	ScopeProxy      Scope = "brevet:proxy"      // may forward the certificates of its clients
	ScopeAdmin      Scope = "brevet:admin"      // permits nothing; see [newlyGranted]
)

// operating are the scopes of tokens by which operators limit a tool to one of their roles:
// see [Scope.Operates]. No agent is granted one.
var operating = []Scope{ScopeAdmin + ":viewer", ScopeAdmin + ":operator", ScopeAdmin + ":security", ScopeAdmin + ":admin"}

// Operates returns the name of the role that a scope of an operator's token limits to.
func (s Scope) Operates() (role string, ok bool) {
	if !slices.Contains(operating, s) {
		return "", false
	}
	return strings.CutPrefix(string(s), string(ScopeAdmin)+":")
}

// parseScope returns s as a scope.
func parseScope(s string) (Scope, error) {
	if s == "" || len(s) > 128 {
		return "", fmt.Errorf("%w scope %q: want 1 to 128 characters", ErrInvalid, clip(s))
	}
	for _, c := range []byte(s) {
		if c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return "", fmt.Errorf("%w scope %q: only visible ASCII without quotes and backslashes is allowed (RFC 6749, section 3.3)", ErrInvalid, clip(s))
		}
	}
	if strings.HasPrefix(s, "brevet:") && !slices.Contains(append([]Scope{ScopeIntrospect, ScopeProxy, ScopeAdmin}, operating...), Scope(s)) {
		return "", fmt.Errorf("%w scope %q: scopes that begin with brevet: are brevet's own, and it knows %s and %s", ErrInvalid, clip(s), ScopeIntrospect, ScopeProxy)
	}
	return Scope(s), nil
}

// newlyGranted refuses scopes that an agent gets only now. ScopeAdmin
// permits nothing. Agents that were granted it earlier keep it, and their operators
// would be surprised if it began to mean something.
func newlyGranted(before, now []Scope) error {
	for _, s := range now {
		if _, ok := s.Operates(); ok {
			return fmt.Errorf("%w scope %q: it is for tokens of operators, see brevet operator token", ErrInvalid, s)
		}
	}
	if slices.Contains(now, ScopeAdmin) && !slices.Contains(before, ScopeAdmin) {
		return fmt.Errorf("%w scope %q: it permits nothing, because nobody can administer the authority from afar; run brevet where the server runs, as the same user or as root", ErrInvalid, ScopeAdmin)
	}
	return nil
}

// ParseScopes returns the scopes of a space-delimited list (RFC 6749, section 3.3). It
// ignores spaces that delimit nothing, which clients write when they join lists.
func ParseScopes(s string) ([]Scope, error) {
	var scopes []Scope
	for word := range strings.SplitSeq(s, " ") {
		if word == "" {
			continue
		}
		scope, err := parseScope(word)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return nil, fmt.Errorf("%w scope: no scope is named", ErrInvalid)
	}
	return scopes, nil
}

// JoinScopes is the inverse of [ParseScopes].
func JoinScopes(scopes []Scope) string {
	if len(scopes) == 1 {
		return string(scopes[0])
	}
	var b strings.Builder
	for i, s := range scopes {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(s))
	}
	return b.String()
}
