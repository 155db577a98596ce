package policy

import (
	"cmp"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// event returns the audit event of a decision on q.
func event(q *Query, d *Decision, done Done) audit.Event {
	return audit.Event{
		Time: q.Time.UTC(), Actor: q.Principal.Actor, OnBehalfOf: q.OnBehalfOf, Action: q.Action, Subject: cmp.Or(done.Subject, q.Subject),
		Decision: d.Effect, Reasons: done.Reasons, Request: q.Request, Credential: done.Credential, Details: details(q, d, done.Details),
	}
}

// details returns the details of the event: those that the query or the change
// gave, completed from the query and the decision. Events of the server itself are
// not completed: otherwise merely starting it would keep earlier versions from
// reading the store.
func details(q *Query, d *Decision, given *audit.Details) *audit.Details {
	all := q.Details
	if given != nil {
		all = *given
	}
	if q.Principal.Role == audit.System {
		return &all
	}
	all.Peer, all.Proof = cmp.Or(all.Peer, q.Peer), cmp.Or(all.Proof, q.Proof)
	all.KeyThumbprint = cmp.Or(all.KeyThumbprint, q.KeyThumbprint)
	all.Codes = d.Reasons
	if !q.Principal.told() {
		all.Principal = string(q.Principal.Kind)
	}
	if d.Effect == audit.Allow {
		d.Granted.tell(&all, q.begins())
	}
	return &all
}

// tell adds what was granted.
func (g *Granted) tell(to *audit.Details, begins time.Time) {
	to.Names, to.Audiences, to.Profile = values(g.Names), g.Audiences, g.Profile
	for _, s := range g.Scopes {
		to.Scopes = append(to.Scopes, string(s))
	}
	if to.NotAfter = g.NotAfter; !g.NotAfter.IsZero() {
		to.Lifetime = int64(g.NotAfter.Sub(begins) / time.Second)
	}
}

func values(names []agents.Identifier) (texts []string) {
	for _, n := range names {
		texts = append(texts, n.Value)
	}
	return texts
}
