package operator_test

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/operator"
)

// TestOperationsAreForOperators: every operation asks the rules of package policy
// whether the caller is an operator, before it reads the request. The service has no
// parts that could answer.
func TestOperationsAreForOperators(t *testing.T) {
	s := &operator.Service{}
	for _, who := range []policy.Principal{{}, policy.Anonymous, policy.System, policy.Agent("spiffe://example.internal/agent/bot")} {
		for _, o := range s.Operations() {
			_, err := o.Do(t.Context(), who, func(any) error {
				t.Errorf("%s: the request was read", o.Route)
				return errors.New("read")
			})
			if !errors.Is(err, policy.ErrNotOperator) {
				t.Errorf("%s by %q: got %v", o.Route, who.Actor, err)
			}
		}
		if err := s.Backup(t.Context(), who, io.Discard); !errors.Is(err, policy.ErrNotOperator) {
			t.Errorf("backup by %q: got %v", who.Actor, err)
		}
		if err := s.Segment(t.Context(), who, api.SegmentRequest{}, io.Discard); !errors.Is(err, policy.ErrNotOperator) {
			t.Errorf("a segment by %q: got %v", who.Actor, err)
		}
		if err := s.MayRead(t.Context(), who); !errors.Is(err, policy.ErrNotOperator) {
			t.Errorf("metrics by %q: got %v", who.Actor, err)
		}
		if err := s.RefuseToken(t.Context(), who, policy.ErrToken); !errors.Is(err, policy.ErrNotOperator) {
			t.Errorf("a token by %q: got %v", who.Actor, err)
		}
		for some, err := range s.Events(t.Context(), who, api.EventFilter{}) {
			if some != nil || !errors.Is(err, policy.ErrNotOperator) {
				t.Errorf("events by %q: got %v, %v", who.Actor, some, err)
			}
		}
		for lines, err := range s.Export(t.Context(), who, api.ExportRequest{}) {
			if lines != nil || !errors.Is(err, policy.ErrNotOperator) {
				t.Errorf("an export by %q: got %s, %v", who.Actor, lines, err)
			}
		}
	}
}

// TestEveryWayInIsTried by TestOperationsAreForOperators: operations are in the table,
// or they are one of a few streams.
func TestEveryWayInIsTried(t *testing.T) {
	var ways []string
	for m := range reflect.TypeFor[*operator.Service]().Methods() {
		if slices.Contains(slices.Collect(m.Type.Ins()), reflect.TypeFor[policy.Principal]()) {
			ways = append(ways, m.Name)
		}
	}
	if want := []string{"Backup", "Events", "Export", "MayRead", "RefuseToken", "Segment"}; !slices.Equal(ways, want) {
		t.Errorf("%v take a principal beside the table, want %v: have the test above try them", ways, want)
	}
}
