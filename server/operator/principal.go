package operator

import (
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage/audit"
)

// ErrNotOperator says that a principal is not an operator.
var ErrNotOperator = agents.NewRefusal("not_an_operator", policy.ErrDenied.Error()+": not an operator", policy.ErrDenied)

func mayOperate(p policy.Principal) error {
	if p.Role&audit.Operator == 0 {
		return fmt.Errorf("%w: %s", ErrNotOperator, p.Actor)
	}
	return nil
}
