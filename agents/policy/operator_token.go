package policy

import (
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
)

// OperatorAudience is the audience of the tokens of operators: the operators' API of an
// authority, wherever it is. No token of an agent permits anything there.
func OperatorAudience(td agents.TrustDomain) string {
	return "spiffe://" + string(td) + "/operators"
}

// operatorToken returns what a token of an operator has: one scope, which limits it to a role
// that the operator has, and the operators' API as its audience.
func (r Rules) operatorToken(q *Query) ([]agents.Scope, []string, error) {
	role := persons.RoleOf(q.Scopes)
	switch aud := []string{OperatorAudience(r.TrustDomain)}; {
	case role == 0:
		return nil, nil, fmt.Errorf("%w: a token of an operator is for one role", ErrScope)
	case !slices.Equal(q.Audiences, aud):
		return nil, nil, fmt.Errorf("%w: a token of an operator is for %s", ErrAudience, aud[0])
	case !q.Principal.Operates.Covers(role):
		return nil, nil, fmt.Errorf("%w: a token for the role %s, and %s has %s", ErrOperatorRole, role, q.Principal.Actor, q.Principal.Operates)
	default:
		return q.Scopes, aud, nil
	}
}
