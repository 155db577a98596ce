package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// event returns the audit event of a decision on q. It is brief if a client was refused,
// which can ask for anything.
func event(q *Query, d *Decision, done Done) audit.Event {
	reasons := done.Reasons
	if token := q.Principal.Token; token != (agents.Credential{}) {
		reasons = append(slices.Clip(reasons), "by the operator's token "+token.ID.String())
	}
	e := audit.Event{
		Time: q.Time.UTC(), Actor: q.Principal.Actor, OnBehalfOf: q.OnBehalfOf, Action: q.Action, Subject: cmp.Or(done.Subject, q.Subject),
		Decision: d.Effect, Reasons: reasons, Request: q.Request, Credential: done.Credential, Details: details(q, d, done.Details),
	}
	if d.Effect != audit.Allow && !q.Principal.trusted() {
		return e.Brief()
	}
	return e
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
	all.Trace = cmp.Or(all.Trace, q.Trace)
	shown := q.Principal.evidence()
	all.Peer, all.Proof = cmp.Or(all.Peer, q.Peer), cmp.Or(all.Proof, q.Proof.Code, shown.Code)
	all.Proxy = cmp.Or(all.Proxy, q.Proof.Via)
	all.Certificate = cmp.Or(all.Certificate, q.Proof.Certificate(), shown.Certificate())
	all.KeyThumbprint = cmp.Or(all.KeyThumbprint, q.KeyThumbprint)
	all.Codes, all.Chain = d.Reasons, q.Chain
	if !q.Principal.told() {
		all.Principal = string(q.Principal.Kind)
	}
	if d.Effect == audit.Allow {
		d.Granted.tell(&all, q.begins())
	} else {
		q.tell(&all)
	}
	return &all
}

// tell adds what was granted.
func (g *Granted) tell(to *audit.Details, begins time.Time) {
	tell(to, g.Names, g.Profile, g.Scopes, g.Audiences)
	if to.NotAfter = g.NotAfter; !g.NotAfter.IsZero() {
		to.Lifetime = int64(g.NotAfter.Sub(begins) / time.Second)
	}
}

// tell adds what was asked for.
func (q *Query) tell(to *audit.Details) { tell(to, q.Names, q.Profile, q.Scopes, q.Audiences) }

// tell adds the rights. It leaves the details of a kind as they are if it has none of that kind.
func tell(to *audit.Details, names []agents.Identifier, profile string, scopes []agents.Scope, audiences []string) {
	if len(names) > 0 {
		to.Names = values(names)
	}
	if len(scopes) > 0 {
		to.Scopes = texts(scopes)
	}
	if len(audiences) > 0 {
		to.Audiences = audiences
	}
	to.Profile = cmp.Or(profile, to.Profile)
}

func texts(scopes []agents.Scope) (texts []string) {
	for _, s := range scopes {
		texts = append(texts, string(s))
	}
	return texts
}

func values(names []agents.Identifier) (texts []string) {
	for _, n := range names {
		texts = append(texts, n.Value)
	}
	return texts
}
