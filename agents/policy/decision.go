package policy

import (
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Decision answers a [Query].
type Decision struct {
	Effect      audit.Decision // allow, deny or ask
	Reasons     []string       // codes, for programs
	Obligations []Obligation   // what the caller must do if it acts on the decision
	Granted     Granted        // what was asked for, cut to what may be had
	Refusal     error          // why not, unless Effect is allow
	Versions    agents.Versions
	Policies    *policies.Head // of the policies that were asked, to be compared when the decision is recorded; nil if none were
	expires     time.Time      // when the answers of external engines lapse; the zero time means never
	standing    *agents.Standing
	agent       agents.Agent // as of the transaction that records; zero before it
}

// Standing tells, in the transaction that records the decision, which credentials may be
// used when what is granted begins.
func (d *Decision) Standing() *agents.Standing { return d.standing }

// An Obligation comes with a decision to allow. A caller that does not know it, or
// cannot fulfil it, must not act.
type Obligation string

// Granted is what a credential may have at most.
type Granted struct {
	Names     []agents.Identifier
	Scopes    []agents.Scope
	Audiences []string
	Profile   string
	NotAfter  time.Time
}

// covers reports whether all of h may be had under g.
func (g Granted) covers(h Granted) bool {
	return subset(h.Names, g.Names) && subset(h.Scopes, g.Scopes) && subset(h.Audiences, g.Audiences) &&
		h.Profile == g.Profile && !h.NotAfter.After(g.NotAfter)
}

func subset[T comparable](small, large []T) bool {
	return !slices.ContainsFunc(small, func(v T) bool { return !slices.Contains(large, v) })
}

// deny returns a decision against a query. err should be a [Refusal].
func deny(err error) Decision {
	return Decision{Effect: audit.Deny, Reasons: codes(err), Refusal: err}
}

func (d Decision) err() error {
	switch {
	case d.Effect == audit.Allow && d.Refusal == nil:
		return nil
	case d.Refusal != nil:
		return d.Refusal
	case d.Effect == audit.Ask:
		return ErrApproval
	}
	return ErrDenied
}
