package operator_test

import (
	"errors"
	"io"
	"testing"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/operator"
)

// TestOperationsAreForOperators: a caller that is not an operator is refused before
// its request is read. The service has no parts that could answer.
func TestOperationsAreForOperators(t *testing.T) {
	s := &operator.Service{}
	for _, who := range []policy.Principal{{}, policy.Anonymous, policy.System, policy.Agent("spiffe://example.internal/agent/bot")} {
		for _, o := range s.Operations() {
			_, err := o.Do(t.Context(), who, func(any) error {
				t.Errorf("%s: the request was read", o.Route)
				return errors.New("read")
			})
			if !errors.Is(err, operator.ErrNotOperator) {
				t.Errorf("%s by %q: got %v", o.Route, who.Actor, err)
			}
		}
		if err := s.Backup(t.Context(), who, io.Discard); !errors.Is(err, operator.ErrNotOperator) {
			t.Errorf("backup by %q: got %v", who.Actor, err)
		}
		for some, err := range s.Events(t.Context(), who, api.EventFilter{}) {
			if some != nil || !errors.Is(err, operator.ErrNotOperator) {
				t.Errorf("events by %q: got %v, %v", who.Actor, some, err)
			}
		}
	}
}
