package cedar

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/storage/audit"
)

func compile(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Compile([]policies.File{{Name: "test.cedar", Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func berlin(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// mint is a request for a token.
func mint(change func(*Request)) *Request {
	r := &Request{
		Agent:  agents.Agent{Name: "bot", Owner: "finance", Labels: map[string]string{"env": "prod"}},
		Roles:  []agents.RoleName{"reader"},
		Action: audit.TokenMint, Peer: "10.1.2.3", Proof: "private_key_jwt", Time: time.Date(2026, 3, 2, 8, 30, 0, 0, time.UTC),
		Scopes: []agents.Scope{"a", "b"}, Audiences: []string{"https://x.example"},
	}
	if change != nil {
		change(r)
	}
	return r
}

// TestWorkingHours is the example of the product: nine to six, by the clock of one zone, in
// winter and in summer.
func TestWorkingHours(t *testing.T) {
	s, zone := compile(t, `permit(principal, action == Action::"token.mint", resource) when { context.hour >= 9 && context.hour < 18 };`), berlin(t)
	minutes := compile(t, `permit(principal, action == Action::"token.mint", resource) when { context.minute_of_day >= 540 && context.minute_of_day < 1080 };`)
	for _, day := range []time.Time{time.Date(2026, 1, 15, 0, 0, 0, 0, zone), time.Date(2026, 7, 15, 0, 0, 0, 0, zone)} {
		for clock, want := range map[string]bool{"08:59:59": false, "09:00:00": true, "17:59:59": true, "18:00:00": false, "00:00:00": false} {
			at, err := time.ParseInLocation(time.DateTime, day.Format(time.DateOnly)+" "+clock, zone)
			if err != nil {
				t.Fatal(err)
			}
			r := mint(func(r *Request) { r.Time = at.UTC() })
			for _, s := range []*Set{s, minutes} {
				if v := s.Decide(r, zone); v.Allowed != want {
					t.Errorf("%s: allowed is %t, want %t", at, v.Allowed, want)
				}
			}
			if v := s.Decide(r, time.UTC); day.Month() == time.January && clock == "09:00:00" && v.Allowed {
				t.Error("in UTC it is 08:00")
			}
		}
	}
}

// TestWeekdays: Monday is 1, and the day is that of the zone.
func TestWeekdays(t *testing.T) {
	zone := berlin(t)
	monday := time.Date(2026, 3, 2, 0, 30, 0, 0, zone) // Sunday in UTC
	for i := range 7 {
		s := compile(t, fmt.Sprintf(`permit(principal, action, resource) when { context.weekday == %d };`, i+1))
		if v := s.Decide(mint(func(r *Request) { r.Time = monday.AddDate(0, 0, i) }), zone); !v.Allowed {
			t.Errorf("day %d is another one", i+1)
		}
	}
}

// TestVerdicts has what is read from where, and how questions come together.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		policy  string
		change  func(*Request)
		scopes  string // of a token that is allowed
		rules   string
		failure string
	}{
		{policy: `@id("all") permit(principal, action, resource);`, scopes: "a b", rules: "all"},
		{policy: `permit(principal, action, resource);`, scopes: "a b", rules: "test.cedar:1:1"},
		{policy: `permit(principal == Agent::"bot", action == Action::"token.mint", resource == Audience::"https://x.example");`, scopes: "a b", rules: "test.cedar:1:1"},
		{policy: `permit(principal == Agent::"other", action, resource);`},
		{policy: `permit(principal, action == Action::"certificate.issue", resource);`},
		{policy: `@id("a") permit(principal, action, resource) when { context.scope == "a" };`, scopes: "a", rules: "a"},
		{policy: `@id("p") permit(principal, action, resource); @id("f") forbid(principal, action, resource) when { context.scope == "a" };`, scopes: "b", rules: "p"},
		{policy: `@id("p") permit(principal, action, resource); @id("f") forbid(principal, action, resource);`, rules: "f"},
		{policy: `permit(principal in Owner::"finance", action, resource in Audience::"https://x.example") when { principal.owner == "finance" && principal.created < context.time };`, scopes: "a b", rules: "test.cedar:1:1"},
		{policy: `permit(principal in Label::"env=prod", action, resource) when { principal.hasTag("env") && principal.getTag("env") == "prod" };`, scopes: "a b", rules: "test.cedar:1:1"},
		{policy: `permit(principal in Label::"env=test", action, resource);`},
		{policy: `permit(principal in Role::"reader", action, resource) when { principal.roles.contains("reader") };`, scopes: "a b", rules: "test.cedar:1:1"},
		{policy: `permit(principal in Role::"reader", action, resource) unless { principal in Role::"writer" || principal.roles.isEmpty() };`, scopes: "a b", rules: "test.cedar:1:1"},
		{policy: `permit(principal in Role::"writer", action, resource);`},
		{policy: `permit(principal, action, resource) when { context.peer.isInRange(ip("10.0.0.0/8")) };`, scopes: "a b", rules: "test.cedar:1:1"},
		{policy: `permit(principal, action, resource) when { context.peer.isInRange(ip("10.0.0.0/8")) };`, change: func(r *Request) { r.Peer = "::ffff:10.9.9.9" }, scopes: "a b", rules: "test.cedar:1:1"},
		{policy: `permit(principal, action, resource) when { context.peer.isInRange(ip("10.0.0.0/8")) };`, change: func(r *Request) { r.Peer = "" }, rules: "test.cedar:1:1", failure: "test.cedar:1:1"},
		{policy: `permit(principal, action, resource) when { context has peer && context.peer.isInRange(ip("10.0.0.0/8")) };`, change: func(r *Request) { r.Peer = "fe80::1%eth0" }},
		{policy: `@id("p") permit(principal, action, resource); @id("risk") forbid(principal, action, resource) when { context.risk > 50 };`, rules: "risk", failure: "risk"},
		{policy: `@id("p") permit(principal, action, resource); @id("risk") forbid(principal, action, resource) when { context has risk && context.risk > 50 };`, scopes: "a b", rules: "p"},
		// A token has each scope for each audience.
		{policy: `@id("p") permit(principal, action, resource) when { context.scope == "a" || context.audience == "https://y.example" };`, change: func(r *Request) { r.Audiences = []string{"https://x.example", "https://y.example"} }, scopes: "a", rules: "p"},
		{policy: `permit(principal, action, resource == Audience::"https://y.example");`, change: func(r *Request) { r.Audiences = []string{"https://x.example", "https://y.example"} }},
		{policy: `permit(principal, action, resource);`, change: func(r *Request) { r.Audiences = nil }},
		{policy: `permit(principal, action, resource);`, change: func(r *Request) { r.Scopes = nil }},
	} {
		v := compile(t, c.policy).Decide(mint(c.change), time.UTC)
		if got := agents.JoinScopes(v.Scopes); got != c.scopes || v.Allowed != (c.scopes != "") {
			t.Errorf("%s\ngot %t with the scopes %q, want %q", c.policy, v.Allowed, got, c.scopes)
		}
		if got := strings.Join(v.rulesOf(), " "); got != c.rules {
			t.Errorf("%s\ndetermined by %q, want %q", c.policy, got, c.rules)
		}
		if f, _ := v.failure(); f.Rule != c.failure {
			t.Errorf("%s\nfailed is %q, want %q", c.policy, f.Rule, c.failure)
		}
	}
}

// TestCertificates: a certificate is asked about for its profile and each of its names.
func TestCertificates(t *testing.T) {
	dns, ip := agents.Identifier{Type: "dns", Value: "x.example"}, agents.Identifier{Type: "ip", Value: "10.0.0.1"}
	for _, c := range []struct {
		policy  string
		names   []agents.Identifier
		allowed bool
	}{
		{`permit(principal, action == Action::"certificate.issue", resource);`, []agents.Identifier{dns, ip}, true},
		{`permit(principal, action, resource in Profile::"default");`, []agents.Identifier{dns, ip}, true},
		{`permit(principal, action, resource in Profile::"other");`, nil, false},
		{`permit(principal, action, resource == Profile::"default");`, nil, true},
		{`permit(principal, action, resource == Profile::"default");`, []agents.Identifier{dns}, false},
		{`permit(principal, action, resource == Name::"x.example");`, []agents.Identifier{dns}, false},
		{`permit(principal, action, resource) unless { resource is Name && resource.type == "ip" };`, []agents.Identifier{dns}, true},
		{`permit(principal, action, resource) unless { resource is Name && resource.type == "ip" };`, []agents.Identifier{dns, ip}, false},
		{`permit(principal, action, resource); forbid(principal, action, resource == Profile::"default");`, []agents.Identifier{dns}, false},
		{`permit(principal, action == Action::"token.mint", resource);`, nil, false},
		{``, nil, false},
	} {
		v := compile(t, c.policy).Decide(mint(func(r *Request) {
			r.Action, r.Profile, r.Names, r.Scopes, r.Audiences = audit.CertificateIssue, "default", c.names, nil, nil
		}), time.UTC)
		if v.Allowed != c.allowed || len(v.Answers) != 1+len(c.names) {
			t.Errorf("%s with %v: got %+v", c.policy, c.names, v)
		}
	}
}

// TestReasons: what an event says of the policies is read back.
func TestReasons(t *testing.T) {
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("p%d", i))
	}
	for _, ids := range [][]string{nil, {"a"}, {"a.cedar:1:1", "b"}, many} {
		codes := append([]string{"policy_denied", "policy/x", "policy/"}, reasons(17, ids)...)
		number, got := ParseReasons(codes)
		if number != 17 || !slices.Equal(got, ids[:min(len(ids), maxReasons)]) {
			t.Errorf("%q: got %d, %q", codes, number, got)
		}
	}
	if number, ids := ParseReasons([]string{"scope_not_granted"}); number != 0 || ids != nil {
		t.Errorf("no policies decided: got %d, %q", number, ids)
	}
}

// TestEmptySetPermitsNothing asks ten thousand times.
func TestEmptySetPermitsNothing(t *testing.T) {
	sets := []*Set{compile(t, ""), compile(t, "// nothing\n"), compile(t, `forbid(principal, action, resource) when { context.hour == 25 };`)}
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		q := randomRequest(r)
		if v := sets[r.IntN(len(sets))].Decide(q, time.UTC); v.Allowed || v.Scopes != nil {
			t.Fatalf("%+v: %+v", q, v)
		}
	}
}

// randomRequest returns one that the registry would grant.
func randomRequest(r *rand.Rand) *Request {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	some := func(from ...string) (list []string) {
		for _, s := range from {
			if r.IntN(2) == 0 {
				list = append(list, s)
			}
		}
		return list
	}
	q := mint(func(q *Request) {
		q.Agent.Name, q.Agent.Owner, q.Agent.Purpose = agents.Name(pick("bot", "other", "third")), pick("finance", "shop"), pick("", "reads invoices")
		q.Agent.Labels = map[string]string{pick("env", "team"): pick("prod", "test")}
		if q.Roles = nil; r.IntN(2) == 0 {
			q.Roles = []agents.RoleName{agents.RoleName(pick("reader", "writer"))}
		}
		q.Agent.Created = time.Date(2025, 1, 1+r.IntN(365), 0, 0, 0, 0, time.UTC)
		q.Peer, q.Proof = pick("", "10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1"), pick("", "private_key_jwt", "client_certificate")
		q.Time = time.Date(2026, 1, 1, r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC).AddDate(0, 0, r.IntN(365))
		q.Scopes, q.Audiences = nil, some("https://x.example", "https://y.example")
		for _, s := range some("a", "b", "c") {
			q.Scopes = append(q.Scopes, agents.Scope(s))
		}
		if r.IntN(3) == 0 {
			q.Action, q.Profile, q.Scopes, q.Audiences = audit.CertificateIssue, pick("default", "batch"), nil, nil
			for _, s := range some("x.example", "y.example") {
				q.Names = append(q.Names, agents.Identifier{Type: "dns", Value: s})
			}
		}
	})
	return q
}

// TestSchemaHasEveryAttribute: what the schema declares is what requests have, and none is of
// another type.
func TestSchemaHasEveryAttribute(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		q := randomRequest(r)
		if err := validator().Entity(agentEntity(q)); err != nil {
			t.Fatalf("%+v: %v", q.Agent, err)
		}
		resource := cedar.NewEntityUID(typeAudience, "https://x.example")
		if q.Action == audit.CertificateIssue {
			resource = cedar.NewEntityUID(typeProfile, "default")
		}
		asked := cedar.Request{
			Principal: agentEntity(q).UID, Action: actionUID(q.Action), Resource: resource,
			Context: record(contextAttributes, q.Action, &question{Request: q, local: q.Time, scope: "a", audience: "https://x.example"}),
		}
		if err := validator().Request(asked); err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
	}
	if !reflect.DeepEqual(Schema(), Schema()) {
		t.Error("the schema is another one each time")
	}
}
