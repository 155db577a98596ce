package policy_test

import (
	"context"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

type dead struct{}

func (dead) Decide(context.Context, *policy.Query, *agents.Facts) (policy.Decision, error) {
	return policy.Decision{}, agents.ErrNotActive // whatever it says
}

type answers policy.Decision

func (a answers) Decide(context.Context, *policy.Query, *agents.Facts) (policy.Decision, error) {
	return policy.Decision(a), nil
}

// TestFaults: what policy itself refuses says whose fault it is.
func TestFaults(t *testing.T) {
	for what, c := range map[string]struct {
		engine policy.Engine
		want   agents.Fault
	}{
		"an engine that fails":  {dead{}, agents.NotNow},
		"an unknown obligation": {answers{Effect: audit.Allow, Obligations: []policy.Obligation{"dance"}}, agents.NotNow},
		"an approval":           {answers{Effect: audit.Ask}, agents.Approval},
		"a denial":              {answers{Effect: audit.Deny}, agents.Rights},
		"a denial with a proof": {answers{Effect: audit.Deny, Refusal: agents.ErrNotActive}, agents.Proof},
	} {
		p := policy.Point{DB: openDB(t), External: []policy.Engine{c.engine}}
		err := p.Do(t.Context(), change("bot"), policy.Act{})
		wait := policy.RetryAfter(err)
		if !policy.IsDenial(err) || policy.FaultOf(err) != c.want || (wait > 0) != (c.want == agents.NotNow || c.want == agents.Approval) {
			t.Errorf("%s: %v, fault %d, ask again in %s", what, err, policy.FaultOf(err), wait)
		}
	}
	if policy.FaultOf(storage.ErrClosed) != agents.Rights || policy.RetryAfter(storage.ErrClosed) != 0 {
		t.Error("an error that is no refusal is somebody's fault")
	}
}
