package cedar_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A world is a store with one agent, and a point that decides by the policies in it.
type world struct {
	*testing.T
	*policy.Point
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{t, &policy.Point{DB: db, Rules: policy.Rules{Authority: new(address.Book)}, Applied: cedar.NewEngine(db, time.UTC)}}
	w.update(func(tx storage.Tx) error {
		owner := "finance"
		e, err := agents.NewEnrollment(now)
		if err != nil {
			return err
		}
		_, err = agents.Add(tx, "example.internal", "bot", agents.Change{Owner: &owner, Scopes: []string{"a", "b"}, Audiences: []string{"https://x.example"}}, e, now)
		return err
	})
	return w
}

func (w *world) update(f func(storage.Tx) error) {
	w.Helper()
	if err := w.DB.Update(context.Background(), f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) apply(text string) {
	w.Helper()
	w.update(func(tx storage.Tx) error {
		_, _, err := policies.Apply(tx, []policies.File{{Name: "p.cedar", Text: text}}, "me", now)
		return err
	})
}

func (w *world) remove() {
	w.Helper()
	w.update(func(tx storage.Tx) error { _, err := policies.Remove(tx); return err })
}

// mint is the query of the agent for a token.
func mint() policy.Query {
	p := policy.Agent("spiffe://example.internal/agent/bot")
	return policy.Query{
		Principal: p, Claim: policy.NewClaim(p, "bot", audit.PrivateKeyJWT, func(storage.Tx, *agents.Standing) error { return nil }),
		Action: audit.TokenMint, Subject: "bot", Agent: "bot", Time: now, Proof: audit.PrivateKeyJWT,
		Limits: policy.Limits{Default: time.Minute, Max: time.Hour},
	}
}

func (w *world) last() audit.Event {
	w.Helper()
	var last audit.Event
	for some, err := range (audit.Log{DB: w.DB}).Read(w.Context(), 0) {
		if err != nil {
			w.Fatal(err)
		}
		if len(some) > 0 {
			last = some[len(some)-1]
		}
	}
	return last
}

const all = `@id("all") permit(principal, action, resource);`

// TestPoliciesNarrow: without policies the registry decides, and policies only take away.
func TestPoliciesNarrow(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		policies string
		asked    []agents.Scope
		scopes   string
		refusal  error
	}{
		{"", nil, "a b", nil},
		{all, nil, "a b", nil},
		{all, []agents.Scope{"a"}, "a", nil},
		{all, []agents.Scope{"c"}, "", policy.ErrScope}, // nothing is given that the registry does not give
		{`permit(principal, action, resource) when { context.scope == "b" };`, nil, "b", nil},
		{`permit(principal, action, resource) when { context.scope == "b" };`, []agents.Scope{"a"}, "", cedar.ErrDenied},
		{`permit(principal, action, resource) when { context.scope == "c" };`, nil, "", cedar.ErrDenied},
		{all + `forbid(principal, action, resource) when { context.proof == "private_key_jwt" };`, nil, "", cedar.ErrForbidden},
		{all + `permit(principal, action, resource) when { context.risk == 1 };`, nil, "", cedar.ErrFailed},
		{"// nothing", nil, "", cedar.ErrDenied},
	} {
		if c.policies != "" {
			w.apply(c.policies)
		}
		q := mint()
		q.Scopes = c.asked
		d, err := w.Decide(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(d.Refusal, c.refusal) || agents.JoinScopes(d.Granted.Scopes) != c.scopes && c.refusal == nil {
			t.Errorf("%s: got %v, %v; want %s, %v", c.policies, d.Granted.Scopes, d.Refusal, c.scopes, c.refusal)
		}
	}
	w.remove()
	if d, err := w.Decide(t.Context(), mint()); err != nil || len(d.Granted.Scopes) != 2 {
		t.Errorf("after the policies were removed: %+v, %v", d, err)
	}
}

// TestOthersAreNotAsked: no policy keeps operators and the server from their work, nor an agent
// from ending what it has.
func TestOthersAreNotAsked(t *testing.T) {
	w := newWorld(t)
	w.apply("// nothing")
	for _, spec := range audit.Actions() {
		if cedar.Decides(spec.Action) {
			continue
		}
		for _, p := range []policy.Principal{policy.UID(0), policy.System, policy.Agent("spiffe://example.internal/agent/bot")} {
			q := policy.Query{Principal: p, Action: spec.Action, Subject: "bot", Time: now}
			d, err := w.Decide(t.Context(), q)
			if err != nil || slices.Contains(d.Reasons, "policy_denied") {
				t.Errorf("%s by %s: %+v, %v", spec.Action, p.Actor, d, err)
			}
		}
	}
	q := policy.Query{Principal: policy.UID(0), Action: audit.CertificateIssue, Subject: "bot", Agent: "bot", Profile: "default", Time: now}
	if d, err := w.Decide(t.Context(), q); err != nil || !errors.Is(d.Refusal, cedar.ErrDenied) {
		t.Errorf("an operator who certifies an agent's key: %+v, %v", d, err)
	}
}

// TestEventsNamePolicies: an event has the version, and the policies of it that decided. A
// refusal has what was asked for, although the client left that to the registry.
func TestEventsNamePolicies(t *testing.T) {
	w := newWorld(t)
	w.apply(all)
	if err := w.Do(t.Context(), mint(), policy.Act{}); err != nil {
		t.Fatal(err)
	}
	if got := w.last(); !slices.Equal(got.Details.Codes, []string{"policy/1/all"}) || !slices.Equal(got.Details.Scopes, []string{"a", "b"}) {
		t.Errorf("allowed: %+v", got.Details)
	}
	w.apply(all + "\n" + `forbid(principal, action, resource);`)
	if err := w.Do(t.Context(), mint(), policy.Act{}); !errors.Is(err, cedar.ErrForbidden) {
		t.Fatal(err)
	}
	want := []string{"policy_forbidden", "policy/2/p.cedar:2:1"}
	if got := w.last(); !slices.Equal(got.Details.Codes, want) || !slices.Equal(got.Details.Scopes, []string{"a", "b"}) || !slices.Equal(got.Details.Audiences, []string{"https://x.example"}) {
		t.Errorf("refused: %+v, want the codes %q", got.Details, want)
	}
	if number, ids := cedar.ParseReasons(w.last().Details.Codes); number != 2 || !slices.Equal(ids, []string{"p.cedar:2:1"}) {
		t.Errorf("read back: %d, %q", number, ids)
	}
}

// TestPoliciesAreComparedAgain: a decision by one version, or about the agent as it was, is not
// recorded once others are in force, or the agent has changed.
func TestPoliciesAreComparedAgain(t *testing.T) {
	narrow := `@id("narrow") permit(principal, action, resource) when { context.scope == "a" };`
	byLabel := all + `@id("held") forbid(principal in Label::"hold=yes", action, resource);`
	for what, c := range map[string]struct {
		before string
		change func(*world)
		scopes string
		codes  string
		err    error
	}{
		"nothing":                      {all, func(*world) {}, "a b", "policy/1/all", nil},
		"the first set":                {"", func(w *world) { w.apply(narrow) }, "a", "policy/1/narrow", nil},
		"narrower policies":            {all, func(w *world) { w.apply(narrow) }, "a", "policy/2/narrow", nil},
		"wider policies":               {narrow, func(w *world) { w.apply(all) }, "a b", "policy/2/all", nil},
		"policies that permit nothing": {all, func(w *world) { w.apply("//") }, "", "policy_denied policy/2", cedar.ErrDenied},
		"no policies any more":         {narrow, func(w *world) { w.remove() }, "a b", "", nil},
		"a role of the agent": {all + `@id("writes") forbid(principal in Role::"writer", action, resource);`, func(w *world) {
			w.update(func(tx storage.Tx) error {
				if _, err := agents.AddRole(tx, "writer", agents.RoleChange{Scopes: []string{"w"}}, now); err != nil {
					return err
				}
				_, err := agents.Set(tx, "example.internal", "bot", agents.Change{Roles: []string{"writer"}}, now)
				return err
			})
		}, "", "policy_forbidden policy/1/writes", cedar.ErrForbidden},
		"a label of the agent": {byLabel, func(w *world) {
			w.update(func(tx storage.Tx) error {
				_, err := agents.Set(tx, "example.internal", "bot", agents.Change{Labels: map[string]string{"hold": "yes"}}, now)
				return err
			})
		}, "", "policy_forbidden policy/1/held", cedar.ErrForbidden},
	} {
		w := newWorld(t)
		if c.before != "" {
			w.apply(c.before)
		}
		runs := 0
		var granted []agents.Scope
		err := w.Do(t.Context(), mint(), policy.Act{
			Prepare: func(context.Context, *policy.Decision) error {
				if runs++; runs == 1 {
					c.change(w)
				}
				return nil
			},
			Change: func(_ storage.Tx, d *policy.Decision) (policy.Done, error) {
				granted = d.Granted.Scopes
				return policy.Done{}, nil
			},
		})
		if !errors.Is(err, c.err) || err != nil && c.err == nil || agents.JoinScopes(granted) != c.scopes {
			t.Errorf("%s: granted is %v, %v; want %s", what, granted, err, c.scopes)
		}
		var codes []string
		if e := w.last(); e.Details != nil {
			codes = e.Details.Codes
		}
		if got := strings.Join(codes, " "); got != c.codes {
			t.Errorf("%s: recorded is %q, want %q", what, got, c.codes)
		}
	}
}

// TestPoliciesThatCannotBeUsed refuse, with a code of their own.
func TestPoliciesThatCannotBeUsed(t *testing.T) {
	w := newWorld(t)
	w.apply("this is no policy") // as one that a later version of brevet would compile
	d, err := w.Decide(t.Context(), mint())
	if err != nil || d.Effect != audit.Deny || !slices.Contains(d.Reasons, "engine_failed") {
		t.Errorf("policies that do not compile: %+v, %v", d, err)
	}
	w.apply(all)
	w.update(func(tx storage.Tx) error {
		raw, err := tx.Get("policies", "0000000000000002")
		if err != nil {
			return err
		}
		return tx.Put("policies", "0000000000000002", []byte(strings.Replace(string(raw), "permit", "forbid", 1)))
	})
	if d, err := w.Decide(t.Context(), mint()); err != nil || d.Effect != audit.Deny || !slices.Contains(d.Reasons, "engine_failed") {
		t.Errorf("policies that were changed in the store: %+v, %v", d, err)
	}
}

// TestAppliedAndEmptyPermitsNothing: with an empty set in force, nothing is granted by any of ten
// thousand queries that the registry would grant.
func TestAppliedAndEmptyPermitsNothing(t *testing.T) {
	w := newWorld(t)
	w.apply("")
	r := rand.New(rand.NewPCG(5, 6))
	permits := 0
	for range 10_000 {
		q := mint()
		if q.Time = now.Add(time.Duration(r.Int64N(int64(24 * time.Hour)))); r.IntN(2) == 0 {
			q.Scopes = []agents.Scope{"a"}
		}
		if r.IntN(3) == 0 {
			q.Action, q.Profile, q.Scopes = audit.CertificateIssue, "default", nil
		}
		d, err := w.Decide(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if d.Effect != audit.Deny {
			permits++
		}
	}
	if permits != 0 {
		t.Errorf("%d permits in 10,000", permits)
	}
}

// TestDigestIsCompared: the engine follows the store at once, also to a set under the same number
// as one that it compiled.
func TestDigestIsCompared(t *testing.T) {
	w := newWorld(t)
	w.apply(all)
	if d, err := w.Decide(t.Context(), mint()); err != nil || d.Effect != audit.Allow {
		t.Fatal(d, err)
	}
	w.update(func(tx storage.Tx) error { return policies.Lose(tx, 1, "abcd", "me", now) })
	if d, err := w.Decide(t.Context(), mint()); err != nil || !errors.Is(d.Refusal, cedar.ErrDenied) {
		t.Errorf("got %+v, %v", d, err)
	}
}
