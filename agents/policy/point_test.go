package policy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

var operator = policy.UID(0)

func change(subject string) policy.Query {
	return policy.Query{Principal: operator, Action: audit.AgentSet, Subject: subject, Time: now}
}

// TestOneEventWhateverHappens fails each phase in each way, and lets closures run
// twice: there is one event if anything was decided, and a change only with it.
func TestOneEventWhateverHappens(t *testing.T) {
	no, broken := policy.ErrScope, errors.New("the signer is broken")
	for _, ask := range []error{nil, no, broken} {
		for _, prepare := range []error{nil, no, broken} {
			for _, fails := range []error{nil, no, broken} {
				for _, again := range []bool{false, true} {
					t.Run(fmt.Sprint(ask, prepare, fails, again), func(t *testing.T) {
						db := openDB(t)
						p := policy.Point{DB: db}
						if again {
							p.DB = twice{db}
						}
						err := p.Do(t.Context(), change("bot"), policy.Act{
							Ask:     func(storage.Tx, *policy.Query) error { return ask },
							Prepare: func(context.Context, *policy.Decision) error { return prepare },
							Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
								return policy.Done{}, errors.Join(things.Put(tx, "k", "done"), fails)
							},
						})
						var want error
						for _, e := range []error{fails, prepare, ask} {
							if e != nil {
								want = e
							}
						}
						found, events := left(t, db)
						recorded := want == nil || want == no || ask == nil && prepare == nil // Do records whatever Change fails with
						if !errors.Is(err, want) || (err == nil) != (want == nil) || (len(found) == 1) != (want == nil) || (len(events) == 1) != recorded || len(events) > 1 {
							t.Fatalf("got %v with %v and %+v, want %v", err, found, events, want)
						}
						if recorded && (events[0].Decision == audit.Allow) != (want == nil) {
							t.Errorf("recorded is %+v", events[0])
						}
					})
				}
			}
		}
	}
}

func TestStrangersAreNotRecorded(t *testing.T) {
	db := openDB(t)
	p := policy.Point{DB: db}
	q := policy.Query{Principal: policy.Anonymous, Action: audit.CertificateIssue, Time: now}
	err := p.Do(t.Context(), q, policy.Act{Ask: func(storage.Tx, *policy.Query) error { return agents.ErrEnrollment }})
	if _, events := left(t, db); !errors.Is(err, agents.ErrEnrollment) || len(events) != 0 {
		t.Errorf("got %v and %+v", err, events)
	}
}

// TestRefuse records refusals that concern somebody, and only refusals.
func TestRefuse(t *testing.T) {
	broken := errors.New("the store is broken")
	for what, c := range map[string]struct {
		subject  string
		reason   error
		recorded int
	}{
		"a refusal":              {"bot", agents.ErrEnrollment, 1},
		"a stranger's":           {"", agents.ErrEnrollment, 0},
		"no refusal":             {"bot", broken, 0},
		"nothing to be refused":  {"bot", nil, 0},
		"a refusal with details": {"bot", fmt.Errorf("%w: it was used", agents.ErrEnrollment), 1},
	} {
		db := openDB(t)
		p := policy.Point{DB: db}
		q := policy.Query{Principal: policy.Bearer("enrollment token"), Action: audit.CertificateIssue, Subject: c.subject, Time: now}
		err := p.Refuse(audit.WithSource(t.Context(), audit.Source{Request: "0123456789abcdef", Peer: "192.0.2.7"}), q, c.reason)
		if err := p.Flush(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		_, events := left(t, db)
		if err != c.reason || len(events) != c.recorded {
			t.Errorf("%s: got %v and %+v", what, err, events)
		}
		for _, e := range events {
			if e.Decision != audit.Deny || e.Reasons[0] != c.reason.Error() || e.Request != "0123456789abcdef" || e.Details.Peer != "192.0.2.7" || e.Details.Codes[0] != "enrollment" {
				t.Errorf("%s: recorded is %+v, %+v", what, e, e.Details)
			}
		}
	}
}

// TestPeerComesFromTheContext, so that no handler can forget it.
func TestPeerComesFromTheContext(t *testing.T) {
	for peer, want := range map[string]string{"": "192.0.2.7", "192.0.2.8": "192.0.2.8"} {
		db := openDB(t)
		p, q := policy.Point{DB: db}, change("bot")
		q.Peer = peer
		err := p.Do(audit.WithSource(t.Context(), audit.Source{Peer: "192.0.2.7"}), q, policy.Act{})
		if _, events := left(t, db); err != nil || len(events) != 1 || events[0].Details == nil || events[0].Details.Peer != want {
			t.Errorf("got %v and %+v, want the peer %s", err, events, want)
		}
	}
}

// TestDelegationIsRecorded, and external engines are told of it.
func TestDelegationIsRecorded(t *testing.T) {
	chain := []string{"uid=7", "spiffe://example.internal/agent/boss"}
	for _, want := range []audit.Decision{audit.Allow, audit.Deny} {
		db := openDB(t)
		e := &answering{d: policy.Decision{Effect: want}}
		p, q := policy.Point{DB: db, External: []policy.Engine{e}}, change("bot")
		q.Chain = chain
		err := p.Do(t.Context(), q, policy.Act{})
		_, events := left(t, db)
		if (err == nil) != (want == audit.Allow) || len(events) != 1 || events[0].Decision != want || events[0].Details == nil || !slices.Equal(events[0].Details.Chain, chain) {
			t.Errorf("got %v and %+v, want %s with the chain %q", err, events, want, chain)
		}
		if !slices.Equal(e.query.Chain, chain) {
			t.Errorf("the engine was asked about %+v", e.query)
		}
	}
}

// TestRolesAreHeld tries every action as everybody.
func TestRolesAreHeld(t *testing.T) {
	p := policy.Point{DB: openDB(t)}
	for _, spec := range audit.Actions() {
		for _, who := range []policy.Principal{operator, policy.Agent("spiffe://example.internal/agent/bot"), policy.System, policy.Anonymous, {}} {
			d, err := p.Decide(t.Context(), policy.Query{Principal: who, Action: spec.Action, Time: now})
			want := audit.Deny
			held := spec.By&who.Role != 0
			if held && !spec.Action.Grants() { // those need an agent as well
				want = audit.Allow
			}
			if slices.Contains(d.Reasons, "role") == held {
				t.Errorf("%s by %+v: got %v", spec.Action, who, d.Reasons)
			}
			if err != nil || d.Effect != want || (d.Effect == audit.Deny) != policy.IsDenial(d.Refusal) {
				t.Errorf("%s by %+v: got %+v, %v, want %s", spec.Action, who, d, err, want)
			}
		}
	}
}

// An answering engine answers after a while.
type answering struct {
	after time.Duration
	d     policy.Decision
	err   error
	asked int
	query policy.Query // the last
}

func (a *answering) Decide(ctx context.Context, q *policy.Query, _ *agents.Facts) (policy.Decision, error) {
	a.asked++
	a.query = *q
	select {
	case <-time.After(a.after):
		return a.d, a.err
	case <-ctx.Done():
		return policy.Decision{}, ctx.Err()
	}
}

func TestExternalEngines(t *testing.T) {
	allow := policy.Decision{Effect: audit.Allow}
	for what, c := range map[string]struct {
		engines []policy.Engine
		slow    time.Duration // of preparing
		want    audit.Decision
	}{
		"allow":                      {[]policy.Engine{&answering{d: allow}}, 0, audit.Allow},
		"deny":                       {[]policy.Engine{&answering{d: policy.Decision{Effect: audit.Deny}}}, 0, audit.Deny},
		"no answer at all":           {[]policy.Engine{&answering{}}, 0, audit.Deny},
		"ask":                        {[]policy.Engine{&answering{d: policy.Decision{Effect: audit.Ask}}}, 0, audit.Ask},
		"ask wins over allow":        {[]policy.Engine{&answering{d: policy.Decision{Effect: audit.Ask}}, &answering{d: allow}}, 0, audit.Ask},
		"deny wins over ask":         {[]policy.Engine{&answering{d: policy.Decision{Effect: audit.Ask}}, &answering{d: policy.Decision{Effect: audit.Deny}}}, 0, audit.Deny},
		"an error":                   {[]policy.Engine{&answering{d: allow, err: errors.New("no route")}}, 0, audit.Deny},
		"too slow":                   {[]policy.Engine{&answering{d: allow, after: 6 * time.Second}}, 0, audit.Deny},
		"an unknown obligation":      {[]policy.Engine{&answering{d: policy.Decision{Effect: audit.Allow, Obligations: []policy.Obligation{"call"}}}}, 0, audit.Deny},
		"just in time":               {[]policy.Engine{&answering{d: allow}}, 4 * time.Second, audit.Allow},
		"an answer that has expired": {[]policy.Engine{&answering{d: allow}}, 6 * time.Second, audit.Deny},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openDB(t)
				p := policy.Point{DB: db, External: c.engines}
				err := p.Do(context.Background(), change("bot"), policy.Act{
					Prepare: func(context.Context, *policy.Decision) error { time.Sleep(c.slow); return nil },
				})
				if (err == nil) != (c.want == audit.Allow) || err != nil && !policy.IsDenial(err) || errors.Is(err, policy.ErrApproval) != (c.want == audit.Ask) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				if _, events := left(t, db); len(events) != 1 || events[0].Decision != c.want {
					t.Errorf("recorded is %+v, want %s", events, c.want)
				}
			})
		})
	}
}
