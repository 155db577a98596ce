package policy_test

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.FixedZone("", 3600))

func openDB(t testing.TB) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var request = policy.Query{
	Principal: operator, OnBehalfOf: "spiffe://example.internal/agent/bot", Action: audit.AgentSet, Subject: "bot", Time: now, Request: "0123456789abcdef",
}

// do makes a change that needs no preparation.
func do(ctx context.Context, db storage.DB, q policy.Query, change func(storage.Tx) (policy.Done, error)) error {
	p := policy.Point{DB: db}
	defer p.Flush(context.Background(), q.Time)
	return p.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) { return change(tx) }})
}

var things = storage.Table[string]("things")

// left returns the things and the events that a store holds.
func left(t *testing.T, db storage.DB) (found []string, events []audit.Event) {
	t.Helper()
	err := db.View(context.Background(), func(tx storage.Tx) error {
		for v, err := range things.Scan(tx, "") {
			if err != nil {
				return err
			}
			found = append(found, v)
		}
		for e, err := range audit.Since(tx, 0) {
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, events
}

func TestChangeIsCommittedWithItsEvent(t *testing.T) {
	db := openDB(t)
	err := do(t.Context(), db, request, func(tx storage.Tx) (policy.Done, error) {
		return policy.Done{Reasons: []string{"it may"}, Credential: "0c5e"}, things.Put(tx, "k", "done")
	})
	if err != nil {
		t.Fatal(err)
	}
	found, events := left(t, db)
	want := audit.Event{
		Seq: 0, Time: now.UTC(), Actor: "uid=0", OnBehalfOf: "spiffe://example.internal/agent/bot", Action: "agent.set", Subject: "bot",
		Decision: audit.Allow, Reasons: []string{"it may"}, Request: "0123456789abcdef", Credential: "0c5e",
	}
	if len(found) != 1 || len(events) != 1 || !reflect.DeepEqual(events[0], want) {
		t.Errorf("got %v and %+v, want one thing and %+v", found, events, want)
	}
}

// TestSubjectThatIsFoundByTheChange: a serial number does not tell whose it is.
func TestSubjectThatIsFoundByTheChange(t *testing.T) {
	db := openDB(t)
	err := do(t.Context(), db, change(""), func(storage.Tx) (policy.Done, error) {
		return policy.Done{Subject: "bot"}, nil
	})
	if _, events := left(t, db); err != nil || len(events) != 1 || events[0].Subject != "bot" {
		t.Errorf("got %v, %+v", err, events)
	}
	err = do(t.Context(), db, change(""), func(storage.Tx) (policy.Done, error) {
		return policy.Done{Subject: "bot", Credential: "0c5e"}, policy.ErrDenied
	})
	if _, events := left(t, db); !errors.Is(err, policy.ErrDenied) || len(events) != 2 || events[1].Subject != "bot" || events[1].Decision != audit.Deny {
		t.Errorf("refused: got %v, %+v", err, events)
	}
}

func TestRefusedChangeLeavesOnlyItsDenial(t *testing.T) {
	db := openDB(t)
	reason := errors.New("it may not")
	err := do(t.Context(), db, request, func(tx storage.Tx) (policy.Done, error) {
		return policy.Done{Reasons: []string{"a reason to do it"}, Credential: "0c5e"}, errors.Join(things.Put(tx, "k", "half done"), reason)
	})
	if !errors.Is(err, reason) {
		t.Errorf("got %v, want the error of the change", err)
	}
	found, events := left(t, db)
	if len(found) != 0 || len(events) != 1 {
		t.Fatalf("left are %v and %+v", found, events)
	}
	if e := events[0]; e.Decision != audit.Deny || len(e.Reasons) != 1 || e.Reasons[0] != "it may not" || e.Credential != "" || e.Actor != operator.Actor || e.Request != request.Request {
		t.Errorf("recorded is %+v", e)
	}
}

// TestChangeThatRunsTwiceIsJudgedByItsLastRun, as storage.DB lets an engine do.
func TestChangeThatRunsTwiceIsJudgedByItsLastRun(t *testing.T) {
	db := openDB(t)
	runs := 0
	err := do(t.Context(), twice{db}, request, func(tx storage.Tx) (policy.Done, error) {
		if runs++; runs == 1 {
			return policy.Done{}, errors.New("only the first time")
		}
		return policy.Done{}, things.Put(tx, "k", "done")
	})
	found, events := left(t, db)
	if err != nil || runs != 2 || len(found) != 1 || len(events) != 1 || events[0].Decision != audit.Allow {
		t.Errorf("after %d runs: %v, %v, %+v", runs, err, found, events)
	}
}

// twice is an engine that runs each closure a second time.
type twice struct{ storage.DB }

func (d twice) Update(ctx context.Context, fn func(storage.Tx) error) error {
	undone := errors.New("undone")
	if err := d.DB.Update(ctx, func(tx storage.Tx) error { fn(tx); return undone }); !errors.Is(err, undone) {
		return err
	}
	return d.DB.Update(ctx, fn)
}

// full is an engine whose commits fail after the first few.
type full struct {
	storage.DB
	good int
}

var errFull = errors.New("no space left on device")

func (d *full) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if d.good--; d.good >= 0 {
		return d.DB.Update(ctx, fn)
	}
	return d.DB.Update(ctx, func(tx storage.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errFull
	})
}

func TestStoreThatFailsSurfaces(t *testing.T) {
	db := openDB(t)
	err := do(t.Context(), &full{DB: db}, request, func(tx storage.Tx) (policy.Done, error) {
		return policy.Done{}, things.Put(tx, "k", "done")
	})
	if !errors.Is(err, errFull) || policy.IsDenial(err) {
		t.Errorf("a change: got %v", err)
	}
	reason := because(policy.ErrDenied, "for a reason")
	err = do(t.Context(), &full{DB: db}, request, func(storage.Tx) (policy.Done, error) { return policy.Done{}, reason })
	if !errors.Is(err, policy.ErrDenied) || !strings.Contains(err.Error(), "could not be recorded") || !strings.Contains(err.Error(), errFull.Error()) {
		t.Errorf("a refusal: got %v, want also that it is not on record", err)
	}
	if found, events := left(t, db); len(found)+len(events) != 0 {
		t.Errorf("left are %v and %+v", found, events)
	}
}

func because(sentinel error, text string) error { return errors.Join(sentinel, errors.New(text)) }

// TestNothingHappensUnrecorded: a change whose event cannot be written is undone.
func TestNothingHappensUnrecorded(t *testing.T) {
	db := openDB(t)
	nobody := request
	nobody.Principal.Actor = ""
	err := do(t.Context(), db, nobody, func(tx storage.Tx) (policy.Done, error) {
		return policy.Done{}, things.Put(tx, "k", "done")
	})
	if err == nil || !strings.Contains(err.Error(), "no actor") {
		t.Errorf("got %v", err)
	}
	if found, events := left(t, db); len(found)+len(events) != 0 {
		t.Errorf("left are %v and %+v", found, events)
	}
}

func TestCallerThatHasGivenUp(t *testing.T) {
	db := openDB(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := do(ctx, db, request, func(storage.Tx) (policy.Done, error) {
		cancel() // while it is decided
		return policy.Done{}, policy.ErrDenied
	})
	if _, events := left(t, db); !errors.Is(err, policy.ErrDenied) || len(events) != 1 {
		t.Errorf("got %v and %+v, want the denial on record", err, events)
	}
	err = do(ctx, db, request, func(tx storage.Tx) (policy.Done, error) { return policy.Done{}, things.Put(tx, "k", "done") })
	if found, events := left(t, db); !errors.Is(err, context.Canceled) || len(found) != 0 || len(events) != 1 {
		t.Errorf("begun too late: got %v, %v and %+v", err, found, events)
	}
}

func TestIsDenial(t *testing.T) {
	for _, err := range []error{policy.ErrName, policy.ErrScope, policy.ErrAudience, agents.ErrUnknown, agents.ErrRevoked, agents.ErrEnrollment, agents.ErrBinding} {
		if !policy.IsDenial(because(err, "…")) {
			t.Errorf("%v is a decision", err)
		}
	}
	for _, err := range []error{nil, errFull, storage.ErrClosed, context.Canceled, storage.ErrNotFound, storage.ErrExists} {
		if policy.IsDenial(err) {
			t.Errorf("%v is no decision", err)
		}
	}
}
