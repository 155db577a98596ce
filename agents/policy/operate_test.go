package policy

import (
	"errors"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestEveryActionOfOperatorsHasItsRole: one that is new is nobody's until it has one here,
// and the rules decide by the same table.
func TestEveryActionOfOperatorsHasItsRole(t *testing.T) {
	unrecorded := map[audit.Action]bool{Read: true, PublishCRL: true}
	for _, s := range audit.Actions() {
		need, known := needs[s.Action]
		if operators := s.By&audit.Operator != 0; operators != known {
			t.Errorf("%s: operators may ask for it: %t, has a role: %t", s.Action, operators, known)
		}
		if !known || s.Action.Grants() {
			continue
		}
		for role := persons.Role(0); role <= persons.Admin; role++ {
			d, err := Rules{}.Decide(t.Context(), &Query{Principal: Person("alice", role), Action: s.Action, Subject: "x"}, &agents.Facts{})
			if err != nil || (d.Effect == audit.Allow) != role.Covers(need) || d.Effect != audit.Allow && !errors.Is(d.Refusal, ErrOperatorRole) {
				t.Errorf("%s by %s: %+v, %v", s.Action, role, d, err)
			}
		}
		unrecorded[s.Action] = true
	}
	for a := range needs {
		if !unrecorded[a] && !a.Grants() {
			t.Errorf("%s is no action", a)
		}
	}
}

// TestNobodyElseOperates: a role is an operator's only.
func TestNobodyElseOperates(t *testing.T) {
	for _, p := range []Principal{{}, Anonymous, System, Agent("spiffe://example.internal/agent/bot"), {Operates: persons.Admin}} {
		if err := MayOperate(p, Read); !errors.Is(err, ErrNotOperator) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if err := MayOperate(UID(0), "agent.invent"); !errors.Is(err, ErrOperatorRole) {
		t.Errorf("what is in no table: %v", err)
	}
}
