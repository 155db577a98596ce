package tokens

import (
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// ofOperator returns the token of an operator as it may be used now: for the lesser role of the
// token's and the operator's. Its audience is no agent's, see [policy.OperatorAudience].
func (t Token) ofOperator(tx storage.Tx) (Token, error) {
	person, _ := t.Agent.Person()
	p, err := persons.Usable(tx, persons.Name(person))
	if err != nil {
		return t, err
	}
	role := persons.RoleOf(t.Scopes)
	if p.Added.IsZero() || role == 0 || p.Role == 0 {
		return t, fmt.Errorf("%w: it is for no role", policy.ErrScope)
	}
	t.Scopes = []agents.Scope{min(role, p.Role).Scope()}
	return t, nil
}
