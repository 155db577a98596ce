package cedar

import (
	"slices"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Request is what an agent asks for, as the registry would grant it.
type Request struct {
	Agent  agents.Agent
	Roles  []agents.RoleName // those that it has at that time
	Action audit.Action
	Peer   string // the network address of the client, if it is known
	Proof  string // the code of its evidence
	Time   time.Time

	// Of a token.
	Scopes    []agents.Scope
	Audiences []string
	// Of a certificate.
	Names   []agents.Identifier
	Profile string
}

// A question is one that the policies answer: about one scope for one audience, about one
// name, or about the profile.
type question struct {
	*Request
	local    time.Time // in the zone of the policies
	scope    agents.Scope
	audience string
	resource cedar.Entity
}

// An Answer is that of the policies to one question.
type Answer struct {
	Resource string    `json:"resource"` // as Cedar writes it
	Scope    string    `json:"scope,omitempty"`
	Allowed  bool      `json:"allowed"`
	Rules    []string  `json:"policies,omitempty"` // those that determined it; none means that no policy permits
	Failures []Failure `json:"failures,omitempty"` // which deny whatever the other policies say
}

// A Failure is a policy that could not be evaluated.
type Failure struct {
	Rule    string `json:"policy"`
	Message string `json:"message"`
}

// A Verdict is what the policies say about a request.
type Verdict struct {
	Allowed bool           `json:"allowed"`
	Scopes  []agents.Scope `json:"scopes,omitempty"` // of a token: those that may be had, for each of its audiences
	Answers []Answer       `json:"answers"`
}

// Decide answers a request. The time of day is that of the zone.
//
// Each scope of a token is decided for each of its audiences. The token gets the scopes that
// are permitted for all of them, and is refused if none is left. A certificate gets all that
// it asks for, its profile and each of its names, or is refused. A policy that fails refuses
// the whole request.
func (s *Set) Decide(r *Request, zone *time.Location) Verdict {
	e := evaluator{agent: agentEntity(r), request: r, local: r.Time.In(zone)}
	e.set = s.byAction[r.Action].of(&e.agent, (*rule).ofPrincipal)
	if r.Action == audit.TokenMint {
		return e.token()
	}
	return e.certificate()
}

// An evaluator answers the questions of one request.
type evaluator struct {
	set     rules
	agent   cedar.Entity
	request *Request
	local   time.Time
	verdict Verdict
	failed  bool
}

func (e *evaluator) token() Verdict {
	for _, scope := range e.request.Scopes {
		all := len(e.request.Audiences) > 0
		for _, audience := range e.request.Audiences {
			resource := cedar.Entity{UID: cedar.NewEntityUID(typeAudience, cedar.String(audience))}
			all = e.ask(question{scope: scope, audience: audience, resource: resource}) && all
		}
		if all {
			e.verdict.Scopes = append(e.verdict.Scopes, scope)
		}
	}
	if e.failed {
		e.verdict.Scopes = nil
	}
	e.verdict.Allowed = len(e.verdict.Scopes) > 0
	return e.verdict
}

func (e *evaluator) certificate() Verdict {
	profile := cedar.Entity{UID: cedar.NewEntityUID(typeProfile, cedar.String(e.request.Profile))}
	all := e.ask(question{resource: profile})
	for _, n := range e.request.Names {
		all = e.ask(question{resource: nameEntity(n, e.request.Profile)}) && all
	}
	e.verdict.Allowed = all && !e.failed
	return e.verdict
}

// ask has the policies answer one question.
func (e *evaluator) ask(q question) bool {
	q.Request, q.local = e.request, e.local
	decision, why := cedar.Authorize(e.set.of(&q.resource, (*rule).ofResource), entities{&e.agent, &q.resource}, cedar.Request{
		Principal: e.agent.UID, Action: actionUID(q.Action), Resource: q.resource.UID, Context: record(contextAttributes, q.Action, &q),
	})
	a := Answer{Resource: q.resource.UID.String(), Scope: string(q.scope), Allowed: decision == cedar.Allow && len(why.Errors) == 0}
	for _, r := range why.Reasons {
		a.Rules = append(a.Rules, string(r.PolicyID))
	}
	for _, err := range why.Errors {
		a.Failures = append(a.Failures, Failure{string(err.PolicyID), err.Message})
	}
	e.failed = e.failed || len(why.Errors) > 0
	e.verdict.Answers = append(e.verdict.Answers, a)
	return a.Allowed
}

// entities are the two that a question is about. Their parents have no attributes.
type entities [2]*cedar.Entity

// Get returns an entity, for [cedar.Authorize].
func (all entities) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	for _, e := range all {
		if e.UID == uid {
			return *e, true
		}
	}
	return cedar.Entity{}, false
}

// rulesOf returns the policies that determined the verdict, each once: those that permit what
// is granted, or else those that failed, or forbid.
func (v *Verdict) rulesOf() (list []string) {
	add := func(id string) {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	for _, a := range v.Answers {
		if a.Allowed != v.Allowed || v.Allowed && a.Scope != "" && !slices.Contains(v.Scopes, agents.Scope(a.Scope)) {
			continue
		}
		for _, f := range a.Failures {
			add(f.Rule)
		}
		if len(a.Failures) == 0 {
			for _, id := range a.Rules {
				add(id)
			}
		}
	}
	return list
}

// failure returns the first policy that failed.
func (v *Verdict) failure() (Failure, bool) {
	for _, a := range v.Answers {
		if len(a.Failures) > 0 {
			return a.Failures[0], true
		}
	}
	return Failure{}, false
}

// forbidden reports whether a policy forbids any of what was asked for.
func (v *Verdict) forbidden() bool {
	return slices.ContainsFunc(v.Answers, func(a Answer) bool { return !a.Allowed && len(a.Rules) > 0 && len(a.Failures) == 0 })
}
