package policy_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// flushed returns the events that a flush recorded.
func flushed(t *testing.T, p *policy.Point, at time.Time) []audit.Event {
	t.Helper()
	_, before := left(t, p.DB)
	if err := p.Flush(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	_, after := left(t, p.DB)
	return after[len(before):]
}

// TestStrangersAreCounted: what they are refused makes one event for each agent and
// reason, however often they come.
func TestStrangersAreCounted(t *testing.T) {
	p := &policy.Point{DB: openDB(t)}
	q := policy.Query{Principal: policy.Anonymous, Action: audit.TokenMint, Subject: "bot", Time: now}
	for range 1000 {
		p.Refuse(t.Context(), q, agents.ErrUnknown)
	}
	q.Subject = "other"
	p.Refuse(t.Context(), q, agents.ErrUnknown)
	if _, events := left(t, p.DB); len(events) != 0 {
		t.Fatalf("%d events before a flush", len(events))
	}
	later := now.Add(time.Minute)
	events := flushed(t, p, later)
	if len(events) != 2 || events[0].Subject != "bot" || events[0].Details.Counts == nil || events[0].Details.Counts.Refusals != 1000 || !events[0].Time.Equal(later) ||
		events[1].Subject != "other" || events[1].Details.Counts != nil {
		t.Errorf("recorded are %+v", events)
	}
	if events := flushed(t, p, later); len(events) != 0 {
		t.Errorf("flushed twice: %+v", events)
	}
}

// TestManySubjects: the counts take a bounded amount of memory.
func TestManySubjects(t *testing.T) {
	p := &policy.Point{DB: openDB(t)}
	for i := range 10_000 {
		q := policy.Query{Principal: policy.Anonymous, Action: audit.TokenMint, Subject: fmt.Sprint("agent-", i), Time: now}
		p.Refuse(t.Context(), q, agents.ErrUnknown)
	}
	var sum int64
	events := flushed(t, p, now)
	for _, e := range events {
		sum++
		if e.Details.Counts != nil {
			sum += e.Details.Counts.Refusals - 1
		}
	}
	if len(events) > 5000 || sum != 10_000 {
		t.Errorf("%d events stand for %d refusals", len(events), sum)
	}
}

// TestAgentOverItsLimit: refusals beyond it are counted, whatever the client is told.
func TestAgentOverItsLimit(t *testing.T) {
	p := &policy.Point{DB: openDB(t)}
	counters := admission.New(func() time.Time { return now })
	q := policy.Query{Principal: policy.Agent("spiffe://example.internal/agent/bot"), Action: audit.TokenRevoke, Subject: "bot", Time: now}
	for range 300 {
		r := counters.Admit(netip.MustParseAddr("192.0.2.7"))
		r.Prove("bot")
		p.Refuse(admission.With(t.Context(), r), q, agents.ErrRevoked)
		r.End(false)
	}
	if _, events := left(t, p.DB); len(events) != 50 {
		t.Errorf("%d events, want 50", len(events))
	}
	if events := flushed(t, p, now); len(events) != 1 || events[0].Details.Counts.Refusals != 250 {
		t.Errorf("counted are %+v", events)
	}
}

// A fullDB has no room for a while.
type fullDB struct {
	storage.DB
	full bool
}

func (d *fullDB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if d.full {
		return storage.ErrFull
	}
	return d.DB.Update(ctx, fn)
}

// TestCountsStayUntilTheyAreRecorded.
func TestCountsStayUntilTheyAreRecorded(t *testing.T) {
	db := &fullDB{openDB(t), true}
	p := &policy.Point{DB: db}
	q := policy.Query{Principal: policy.Anonymous, Action: audit.TokenMint, Subject: "bot", Time: now}
	for range 3 {
		p.Refuse(t.Context(), q, agents.ErrUnknown)
		if err := p.Flush(t.Context(), now); !errors.Is(err, storage.ErrFull) {
			t.Fatalf("flushing to a full disk: %v", err)
		}
	}
	db.full = false
	if events := flushed(t, p, now); len(events) != 1 || events[0].Details.Counts.Refusals != 3 {
		t.Errorf("recorded are %+v", events)
	}
}

// TestRefusalsOfUnknownAgentsAreCounted: with quotas, too, a refusal about an agent that does
// not exist is recorded, and any number of them make one event.
func TestRefusalsOfUnknownAgentsAreCounted(t *testing.T) {
	p := &policy.Point{DB: openDB(t), Quotas: agents.DefaultQuotas}
	q := policy.Query{Principal: policy.Agent("spiffe://example.internal/agent/gone"), Action: audit.TokenMint, Subject: "gone", Time: now}
	for range 3 {
		if err := p.Refuse(t.Context(), q, agents.ErrUnknown); err != agents.ErrUnknown {
			t.Fatal(err)
		}
	}
	if _, events := left(t, p.DB); len(events) != 0 {
		t.Errorf("%d events before a flush", len(events))
	}
	events := flushed(t, p, now.Add(time.Minute))
	if len(events) != 1 || events[0].Subject != "gone" || events[0].Details.Counts == nil || events[0].Details.Counts.Refusals != 3 {
		t.Errorf("recorded are %+v", events)
	}
}
