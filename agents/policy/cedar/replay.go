package cedar

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Replay decides again what is on record, by other policies, and counts what they decide
// in another way.
type Replay struct {
	set     *Set
	zone    *time.Location
	since   time.Time
	history History

	differences map[differenceKey]*Difference
	outcome     Outcome
}

// An Outcome is what a replay came to.
type Outcome struct {
	Decided     int64        `json:"decided"` // requests that were decided again
	Same        int64        `json:"same"`
	Refused     int64        `json:"refused"`   // requests that were allowed, and would be refused
	Narrowed    int64        `json:"narrowed"`  // tokens that would have fewer scopes
	Permitted   int64        `json:"permitted"` // requests that policies refused, and would be allowed
	Unknown     int64        `json:"unknown"`   // requests of agents of which the log does not have enough
	Differences []Difference `json:"differences"`
}

// A Difference is one kind of question that would have another answer.
type Difference struct {
	Agent    string       `json:"agent"`
	Action   audit.Action `json:"action"`
	Resource string       `json:"resource"`
	Scope    string       `json:"scope,omitempty"`
	Was      string       `json:"was"` // permit or deny
	Is       string       `json:"is"`
	Count    int64        `json:"count"`
	Event    int64        `json:"event"`              // the last of them
	Rules    []string     `json:"policies,omitempty"` // that would determine that one
}

type differenceKey struct {
	agent           string
	action          audit.Action
	resource, scope string
	permits         bool
}

// maxDifferences bounds what is kept of them. There may be more.
const maxDifferences = 100_000

// NewReplay returns a replay by a set of the requests since a time.
func NewReplay(set *Set, zone *time.Location, since time.Time) *Replay {
	return &Replay{set: set, zone: zone, since: since, differences: map[differenceKey]*Difference{}}
}

// Know is [History.Know].
func (r *Replay) Know(a agents.Agent) { r.history.Know(a) }

// Read takes the next entry of the audit log, as an export has it.
func (r *Replay) Read(raw []byte) error {
	e, err := ParseEvent(raw)
	if err != nil {
		return err
	}
	if r.history.Follow(e); !e.Time.Before(r.since) {
		r.decide(e)
	}
	return nil
}

// decide decides a request again that is on record.
func (r *Replay) decide(e *audit.Event) {
	if !Decides(e.Action) || !agents.Name(e.Subject).OfAgent() || e.Decision != audit.Allow && (e.Details == nil || !refusedBy(e.Details.Codes)) {
		return
	}
	asked, ok := r.history.Asked(e)
	if !ok || asked.Partial {
		r.outcome.Unknown++
		return
	}
	r.outcome.Decided++
	v := r.set.Decide(&asked.Request, r.zone)
	switch {
	case asked.Allowed && !v.Allowed:
		r.outcome.Refused++
	case asked.Allowed && len(v.Scopes) < len(asked.Request.Scopes):
		r.outcome.Narrowed++
	case !asked.Allowed && v.Allowed:
		r.outcome.Permitted++
	default:
		r.outcome.Same++
		return
	}
	for _, a := range v.Answers {
		if a.Allowed != asked.Allowed {
			r.count(e, a)
		}
	}
}

// count counts one question that has another answer now.
func (r *Replay) count(e *audit.Event, a Answer) {
	k := differenceKey{e.Subject, e.Action, a.Resource, a.Scope, a.Allowed}
	d := r.differences[k]
	if d == nil {
		if len(r.differences) >= maxDifferences {
			return
		}
		d = &Difference{Agent: e.Subject, Action: e.Action, Resource: a.Resource, Scope: a.Scope, Was: effect(!a.Allowed), Is: effect(a.Allowed)}
		r.differences[k] = d
	}
	d.Count++
	d.Event, d.Rules = e.Seq, a.Rules
	for _, f := range a.Failures {
		d.Rules = append(slices.Clip(d.Rules), f.Rule)
	}
}

func effect(allowed bool) string {
	if allowed {
		return "permit"
	}
	return "deny"
}

// Outcome returns what the replay came to so far, with the most frequent differences first.
func (r *Replay) Outcome() Outcome {
	out := r.outcome
	out.Differences = []Difference{}
	for _, d := range r.differences {
		out.Differences = append(out.Differences, *d)
	}
	slices.SortFunc(out.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Agent, b.Agent), cmp.Compare(a.Action, b.Action),
			strings.Compare(a.Resource, b.Resource), strings.Compare(a.Scope, b.Scope), strings.Compare(a.Is, b.Is))
	})
	return out
}
