package policy

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Query asks whether somebody may do something. Engines decide by its fields,
// and the audit log gets them.
type Query struct {
	Principal  Principal
	OnBehalfOf string // for whom, if not for itself
	Action     audit.Action
	Subject    string    // the agent or thing it is done to, for the audit log
	Time       time.Time // when it is decided, by the authority's clock
	Begins     time.Time // when what is granted begins, if not then
	Request    string    // correlates the event with logs and responses; "" means that of the context

	// Claim says how the principal proved to be who it is. The transaction that records
	// the decision checks it again.
	Claim Claim

	// Agent is the registered agent whose rights decide. "" means that the
	// principal's role alone does; nothing is granted then.
	Agent agents.Name

	// The principal asks for these.
	Names     []agents.Identifier
	Proven    []agents.Identifier // those that the agent has just proven to control
	Scopes    []agents.Scope      // none means what the registry grants, see tokenScopes
	Audiences []string            // none means the only one there is, see tokenAudiences
	Profile   string
	Lifetime  time.Duration // 0 means what is usual
	Limits    Limits

	// How it was asked.
	Proof         audit.Evidence // how the asker proved who it is
	Peer          string         // the network address; "" means that of the context
	Trace         string         // the trace-id of the request; "" means that of the context
	KeyThumbprint string         // SHA-256 of the public key to be certified or registered, in hex
	Chain         []string       // those who delegated to the principal, the first of them first

	// Details are what the event says beside all this.
	Details audit.Details
}

// clone returns a copy that shares nothing with q.
func (q *Query) clone() Query {
	c := *q
	c.Names, c.Proven, c.Scopes = slices.Clone(q.Names), slices.Clone(q.Proven), slices.Clone(q.Scopes)
	c.Audiences, c.Chain, c.Details = slices.Clone(q.Audiences), slices.Clone(q.Chain), q.Details.Clone()
	return c
}

// complete adds what the context knows of the request.
func (q *Query) complete(ctx context.Context) {
	s := audit.SourceOf(ctx)
	q.Request, q.Peer, q.Trace = cmp.Or(q.Request, s.Request), cmp.Or(q.Peer, s.Peer), cmp.Or(q.Trace, s.Trace)
}

// Limits are those of a credential's lifetime that do not come from the agent.
type Limits struct {
	Default, Min, Max time.Duration
	Ends              time.Time // no credential outlives this; the zero time means no such limit
	Of                string    // what ends then
}

// asks reports whether q asks for anything that only the registry gives.
func (q *Query) asks() bool {
	return len(q.Names) > 0 || len(q.Scopes) > 0 || len(q.Audiences) > 0 || q.Profile != ""
}

// begins returns when what is granted begins.
func (q *Query) begins() time.Time {
	if q.Begins.IsZero() {
		return q.Time
	}
	return q.Begins
}
