package oauth_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// cells is how many agents and audiences there are in the table of who may get tokens for what.
const cells = 20

// A source is how an agent came to an audience, or did not.
type source int

const (
	nowhere source = iota
	own
	byRole
	byGrant
	byEndedGrant
	byEndedRole
	byRemovedRole
	sources
)

func (s source) permits() bool { return s == own || s == byRole || s == byGrant }

func audienceURL(i int) string { return fmt.Sprintf("https://api-%d.example", i) }

// TestExactlyTheRegisteredCells: of agents times audiences, each agent gets tokens for exactly
// those that it has now, from whatever source.
func TestExactlyTheRegisteredCells(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	for i := range cells {
		for _, kind := range []string{"kept", "gone"} {
			must(t)(w.Admin.AddRole(t.Context(), fmt.Sprintf("%s-%d", kind, i), api.RoleChange{Audiences: []string{audienceURL(i)}}))
		}
	}
	var table [cells][cells]source
	var all [cells]*servertest.Agent
	for i := range all {
		lists := map[source]*api.Change{}
		for s := range sources {
			lists[s] = &api.Change{}
		}
		roles := 0
		for j := range cells {
			s := source(r.IntN(int(sources)))
			if s == byRole || s == byEndedRole || s == byRemovedRole {
				if roles++; roles > 16 {
					s = nowhere
				}
			}
			table[i][j] = s
			c := lists[s]
			switch s {
			case own, byGrant, byEndedGrant:
				c.Audiences = append(c.Audiences, audienceURL(j))
			case byRole, byEndedRole:
				c.Roles = append(c.Roles, fmt.Sprintf("kept-%d", j))
			case byRemovedRole:
				c.Roles = append(c.Roles, fmt.Sprintf("gone-%d", j))
			}
		}
		name := fmt.Sprintf("cell-%d", i)
		all[i] = w.Enroll(name, agents.Change{
			Scopes: []string{"s"}, TTL: new(time.Hour), Audiences: lists[own].Audiences, Roles: append(lists[byRole].Roles, lists[byRemovedRole].Roles...),
		})
		for s, until := range map[source]time.Duration{byGrant: time.Hour, byEndedGrant: time.Minute, byEndedRole: time.Minute} {
			if c := lists[s]; len(c.Audiences)+len(c.Roles) > 0 {
				c.Until = new(w.Clock.Now().Add(until))
				must(t)(w.Admin.SetAgent(t.Context(), name, *c))
			}
		}
	}
	for i := range cells {
		must(t)(w.Admin.RemoveRole(t.Context(), fmt.Sprintf("gone-%d", i), true))
	}
	w.Clock.Advance(2 * time.Minute)
	for i, a := range all {
		for j := range cells {
			got := w.calm(a.Token(form("scope", "s", "resource", audienceURL(j))))
			if want := table[i][j].permits(); (got.Status == http.StatusOK) != want || !want && got.Status != http.StatusBadRequest {
				t.Errorf("agent %d, audience %d, by %d: got %d %s", i, j, table[i][j], got.Status, got.Body)
			}
		}
	}
}

func must(t *testing.T) func(any, error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRoleChangesShowInIntrospection of tokens that are out, at once; a resource server that has
// brevet:introspect by a role may ask until that ends.
func TestRoleChangesShowInIntrospection(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must(t)(w.Admin.AddRole(ctx, "writer", api.RoleChange{Scopes: []string{"w:a", "w:b"}, Audiences: []string{"https://w.example"}}))
	must(t)(w.Admin.AddRole(ctx, "introspector", api.RoleChange{Scopes: []string{"brevet:introspect"}}))
	bot := w.Enroll("bot", agents.Change{Roles: []string{"writer"}})
	token := w.token(bot)
	scope := func() string {
		t.Helper()
		got := w.api.Introspect(token)
		s, _ := got.JSON["scope"].(string)
		if (s != "") != (got.JSON["active"] == true) {
			t.Errorf("got %s", got.Body)
		}
		return s
	}
	for _, step := range []struct {
		what string
		do   func() (any, error)
		want string
	}{
		{"nothing", func() (any, error) { return nil, nil }, "w:a w:b"},
		{"a scope taken from the role", func() (any, error) { return w.Admin.SetRole(ctx, "writer", api.RoleChange{Scopes: []string{"w:b"}}) }, "w:b"},
		{"and given back", func() (any, error) {
			return w.Admin.SetRole(ctx, "writer", api.RoleChange{Scopes: []string{"w:a", "w:b"}})
		}, "w:a w:b"},
		{"the audience taken", func() (any, error) { return w.Admin.SetRole(ctx, "writer", api.RoleChange{Audiences: []string{}}) }, ""},
		{"the audience by a grant", func() (any, error) {
			return w.Admin.SetAgent(ctx, "bot", api.Change{Audiences: []string{"https://w.example"}, Until: new(w.Clock.Now().Add(time.Minute))})
		}, "w:a w:b"},
		{"its end", func() (any, error) { w.Clock.Advance(time.Minute); return nil, nil }, ""},
		{"an audience of its own", func() (any, error) {
			return w.Admin.SetAgent(ctx, "bot", api.Change{Audiences: []string{"https://w.example"}})
		}, "w:a w:b"},
		{"the role removed", func() (any, error) { return w.Admin.RemoveRole(ctx, "writer", true) }, ""},
	} {
		must(t)(step.do())
		if got := scope(); got != step.want {
			t.Errorf("%s: the token has %q, want %q", step.what, got, step.want)
		}
	}
	late := w.Enroll("late", agents.Change{})
	refused(t, "without the scope", late.Introspect(token), http.StatusForbidden, "insufficient_scope", "")
	must(t)(w.Admin.SetAgent(ctx, "late", api.Change{Roles: []string{"introspector"}, Until: new(w.Clock.Now().Add(time.Minute))}))
	if got := late.Introspect(token); got.Status != http.StatusOK {
		t.Errorf("by a role: %d %s", got.Status, got.Body)
	}
	w.Clock.Advance(time.Minute)
	refused(t, "after the end", late.Introspect(token), http.StatusForbidden, "insufficient_scope", "")
}
