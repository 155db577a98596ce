package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

var (
	// ErrName says that a certificate was asked for a name that is not the agent's.
	ErrName = fmt.Errorf("%w: name is not registered for this agent", ErrDenied)
	// ErrScope says that a token was asked for a scope that the agent was not given.
	ErrScope = fmt.Errorf("%w: scope is not granted to this agent", ErrDenied)
	// ErrAudience says that a token was asked for a resource that the agent was not given.
	ErrAudience = fmt.Errorf("%w: audience is not granted to this agent", ErrDenied)
)

// Names allows those of the identifiers asked for that the registry gives the
// agent outright, or fails with [ErrName]. proven are identifiers that the
// agent has just proven to control.
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

// Scopes returns the scopes of a token: those asked for if the agent has all
// of them; if none was asked for, all that it has, and of those the ones for
// the authority itself, brevet:*, only if it has no others.
func Scopes(a agents.Agent, asked []agents.Scope) ([]agents.Scope, error) {
	for _, s := range asked {
		if !slices.Contains(a.Scopes, s) {
			return nil, fmt.Errorf("%w: %s", ErrScope, s)
		}
	}
	if len(asked) > 0 {
		return asked, nil
	}
	if others := slices.DeleteFunc(slices.Clone(a.Scopes), own); len(others) > 0 {
		return others, nil
	}
	if len(a.Scopes) == 0 {
		return nil, fmt.Errorf("%w: it has none at all", ErrScope)
	}
	return a.Scopes, nil
}

// Audiences returns the audiences of a token: those asked for if the agent has
// all of them, or else the only one that it has. The authority itself is an
// audience for exactly the tokens whose scopes are its own, brevet:*.
func Audiences(a agents.Agent, authority string, scopes []agents.Scope, asked []string) ([]string, error) {
	given := a.Audiences
	switch {
	case slices.ContainsFunc(scopes, own) && slices.ContainsFunc(scopes, func(s agents.Scope) bool { return !own(s) }):
		return nil, fmt.Errorf("%w: ask for brevet:* scopes in a token of their own", ErrScope)
	case slices.ContainsFunc(scopes, own):
		given = []string{authority}
	}
	if len(asked) == 0 {
		if len(given) != 1 {
			return nil, fmt.Errorf("%w: it has %d, name one as the resource", ErrAudience, len(given))
		}
		return given, nil
	}
	for _, aud := range asked {
		if !slices.Contains(given, aud) {
			return nil, fmt.Errorf("%w: %.100s", ErrAudience, aud)
		}
	}
	return asked, nil
}

// IsUnavailable reports whether err says that the authority can issue nothing
// now: its clock is wrong, or it could record nothing.
func IsUnavailable(err error) bool {
	return errors.Is(err, clock.ErrUnavailable) || errors.Is(err, storage.ErrFull)
}

// IsDenial reports whether err is a decision, rather than a failure to decide.
func IsDenial(err error) bool {
	for _, d := range []error{
		ErrDenied, agents.ErrInvalid, agents.ErrUnknown, agents.ErrNotActive, agents.ErrTransition, agents.ErrNameTaken,
		agents.ErrEnrollment, agents.ErrBinding, agents.ErrRevoked, storage.ErrExists, agents.ErrCredentialExpired, agents.ErrAhead,
	} {
		if errors.Is(err, d) {
			return true
		}
	}
	return false
}
