package cedar

import (
	"encoding/json"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"github.com/brevet-ca/brevet/storage/audit"
)

// An Explanation says how policies came to a decision on record.
type Explanation struct {
	Event    int64           `json:"event"`
	Version  int64           `json:"version"`           // of the policies
	Decision audit.Decision  `json:"decision"`          // on record
	Rules    []ExplainedRule `json:"policies"`          // that determined it
	Input    json.RawMessage `json:"input"`             // what they were asked about
	Verdict  Verdict         `json:"verdict"`           // of the same policies, asked again
	Partial  bool            `json:"partial,omitempty"` // the event has not all that was asked for
}

// An ExplainedRule is a policy with its text.
type ExplainedRule struct {
	ID     string `json:"id"`
	Place  string `json:"place"` // FILE:LINE:COLUMN
	Effect string `json:"effect"`
	Text   string `json:"text"`
}

// Explain explains a request on record, as [History.Asked] returns it, by the policies of the
// version that decided. The zone is that of today.
func (s *Set) Explain(e *audit.Event, asked *Asked, zone string) (out Explanation, err error) {
	x := Examples{Zone: zone}
	in, err := x.zone()
	if err != nil {
		return out, err
	}
	out = Explanation{Event: e.Seq, Version: asked.Version, Decision: e.Decision, Verdict: s.Decide(&asked.Request, in), Partial: asked.Partial, Rules: []ExplainedRule{}}
	for _, id := range asked.Rules {
		if r, ok := s.rule(id); ok {
			out.Rules = append(out.Rules, r)
		}
	}
	out.Input, err = asked.Request.input(in.String())
	return out, err
}

// rule returns a policy by its identifier.
func (s *Set) rule(id string) (out ExplainedRule, ok bool) {
	for _, r := range s.rules {
		if string(r.id) == id {
			text := strings.TrimSpace(string(r.policy.MarshalCedar()))
			return ExplainedRule{id, r.place(), map[bool]string{true: "permit", false: "forbid"}[r.policy.Effect() == cedar.Permit], text}, true
		}
	}
	return out, false
}

// input returns a request as JSON: the agent as an entity of Cedar, and what it asked for.
func (r *Request) input(zone string) (json.RawMessage, error) {
	return json.Marshal(struct {
		Principal cedar.Entity `json:"principal"`
		Action    string       `json:"action"`
		Scopes    []string     `json:"scopes,omitempty"`
		Audiences []string     `json:"audiences,omitempty"`
		Profile   string       `json:"profile,omitempty"`
		Names     []string     `json:"names,omitempty"`
		Peer      string       `json:"peer,omitempty"`
		Proof     string       `json:"proof,omitempty"`
		Time      string       `json:"time"`
		Zone      string       `json:"zone"`
	}{agentEntity(r), string(r.Action), texts(r.Scopes), r.Audiences, r.Profile, r.names(), r.Peer, r.Proof, r.Time.Format("2006-01-02T15:04:05.999999999Z07:00"), zone})
}

func (r *Request) names() (list []string) {
	for _, n := range r.Names {
		list = append(list, n.Value)
	}
	return list
}

func texts[S ~string](list []S) (out []string) {
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}
