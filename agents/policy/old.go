package policy

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Request is what somebody asks for.
type Request struct {
	Actor      string // who asks: "uid=0", an agent's SPIFFE ID, "system"
	OnBehalfOf string // for whom, if not for itself
	Action     string // noun.verb, such as "certificate.issue"
	Subject    string // the agent or thing it is done to
	ID         string // correlates the event with logs and responses
}

// A Grant is what the audit log says of a request that was allowed.
type Grant struct {
	Reasons    []string
	Subject    string // where the request could not name it yet
	Credential string // the credential made or ended, if it is one
}

// Do runs change in a transaction and commits it with the event that records
// it. If change fails, nothing of it remains, and the refusal is recorded in a
// transaction of its own: inside the failed one it would be rolled back. The
// error of change is returned as it is. Since change may run twice, outside tx it
// touches only variables that it sets again on each run.
func Do(ctx context.Context, db storage.DB, now time.Time, r Request, change func(storage.Tx) (Grant, error)) error {
	var refusal error
	asked := r
	err := db.Update(ctx, func(tx storage.Tx) error {
		g, err := change(tx)
		refusal, r.Subject = err, cmp.Or(g.Subject, asked.Subject)
		if err != nil {
			return err
		}
		e := r.event(now, audit.Allow, g.Reasons)
		e.Credential = g.Credential
		_, err = audit.Append(tx, e)
		return err
	})
	if refusal != nil && errors.Is(err, refusal) {
		return Deny(ctx, db, now, r, refusal)
	}
	return err // that of a commit, which undid what change saw, comes before a refusal
}

// Deny records that r was refused because of reason, and returns reason, or an
// [Unrecorded] if it could not be recorded. A caller that has given up (its
// context is done) is still recorded. No refusal is urgent, whatever was
// refused: strangers could make any number of them.
func Deny(_ context.Context, db storage.DB, now time.Time, r Request, reason error) error {
	err := db.Update(context.Background(), func(tx storage.Tx) error {
		_, err := audit.Append(tx, r.event(now, audit.Deny, []string{reason.Error()}))
		return err
	})
	if err != nil {
		return &Unrecorded{reason, err}
	}
	return reason
}

func (r Request) event(now time.Time, d audit.Decision, reasons []string) audit.Event {
	return audit.Event{
		Time: now.UTC(), Actor: r.Actor, OnBehalfOf: r.OnBehalfOf, Action: audit.Action(r.Action), Subject: r.Subject,
		Decision: d, Reasons: reasons, Request: r.ID,
	}
}

// Principal returns who asks, as far as the form of the actor tells.
func (r Request) Principal() Principal {
	switch {
	case r.Actor == System.Actor:
		return System
	case strings.HasPrefix(r.Actor, "uid="):
		return Principal{KindUID, r.Actor, audit.Operator}
	case strings.HasPrefix(r.Actor, "spiffe://"):
		return Agent(r.Actor)
	}
	return Principal{Actor: r.Actor, Role: audit.Operator | audit.Agent | audit.System | audit.Bearer}
}
