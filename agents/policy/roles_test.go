package policy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// newRoleHolder registers an agent that has one scope and one audience of its own, roles of ten
// scopes each, and a grant of another scope.
func newRoleHolder(t testing.TB, roles int) (policy.Point, policy.Query) {
	t.Helper()
	db := openDB(t)
	e, err := agents.NewEnrollment(now)
	if err != nil {
		t.Fatal(err)
	}
	c := agents.Change{Owner: new("o"), Scopes: []string{"own"}, Audiences: []string{"https://api.example"}}
	err = db.Update(t.Context(), func(tx storage.Tx) error {
		for i := range roles {
			r := agents.RoleChange{Audiences: []string{fmt.Sprintf("https://r%d.example", i)}}
			for j := range 10 {
				r.Scopes = append(r.Scopes, fmt.Sprintf("r%d:s%d", i, j))
			}
			name := agents.RoleName(fmt.Sprint("r", i))
			if _, err := agents.AddRole(tx, name, r, now); err != nil {
				return err
			}
			c.Roles = append(c.Roles, string(name))
		}
		if _, err := agents.Add(tx, "example.internal", "bot", c, e, now); err != nil || roles == 0 {
			return err
		}
		_, err := agents.Give(tx, "bot", agents.Change{Scopes: []string{"late"}, Until: new(now.Add(time.Minute))}, "uid=0", now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return policy.Point{DB: db, Rules: policy.Rules{Authority: address.At("https://ca.example")}}, policy.Query{
		Principal: policy.Agent("spiffe://example.internal/agent/bot"), Action: audit.TokenMint, Agent: "bot", Subject: "bot", Time: now,
		Limits: policy.Limits{Default: 5 * time.Minute, Max: time.Hour},
	}
}

// TestTokensByRoles: their scopes and audiences add up with those of the agent, and a token
// lives no longer than what is in it.
func TestTokensByRoles(t *testing.T) {
	p, q := newRoleHolder(t, 3)
	usual, end := q.Time.Add(5*time.Minute).Truncate(time.Second), now.Add(time.Minute).Truncate(time.Second)
	for _, c := range []struct {
		what   string
		after  time.Duration
		scopes scopes
		aud    string
		until  time.Time // zero if it is refused
	}{
		{"its own", 0, scopes{"own"}, "https://api.example", usual},
		{"by a role", 0, scopes{"own", "r2:s9"}, "https://r2.example", usual},
		{"scope and audience from different roles", 0, scopes{"r0:s0"}, "https://r1.example", usual},
		{"what ends", 0, scopes{"late", "own"}, "https://api.example", end},
		{"a second before the end", 59 * time.Second, scopes{"late"}, "https://api.example", time.Time{}},
		{"two seconds before the end", 58 * time.Second, scopes{"late"}, "https://api.example", end},
		{"after the end", time.Minute, scopes{"late"}, "https://api.example", time.Time{}},
		{"a scope of no role", 0, scopes{"r3:s0"}, "https://api.example", time.Time{}},
		{"an audience of no role", 0, scopes{"own"}, "https://r3.example", time.Time{}},
	} {
		q := q
		q.Time, q.Scopes, q.Audiences = q.Time.Add(c.after), c.scopes, []string{c.aud}
		d, err := p.Decide(t.Context(), q)
		if err != nil || (d.Effect == audit.Allow) == c.until.IsZero() {
			t.Errorf("%s: got %+v, %v", c.what, d, err)
		}
		if d.Effect == audit.Allow && (!slices.Equal(d.Granted.Scopes, c.scopes) || !d.Granted.NotAfter.Equal(c.until)) {
			t.Errorf("%s: granted is %+v, want until %s", c.what, d.Granted, c.until)
		}
	}
	q.Audiences = []string{"https://api.example"}
	if d, err := p.Decide(t.Context(), q); err != nil || len(d.Granted.Scopes) != 32 || !d.Granted.NotAfter.Equal(end) {
		t.Errorf("all that it has: %+v, %v", d, err)
	}
}

// BenchmarkDecideByRoles is the decision for a token without the look-ups: for an agent
// without roles, and with some of ten scopes each.
func BenchmarkDecideByRoles(b *testing.B) {
	for _, n := range []int{0, 1, 5, 16} {
		p, q := newRoleHolder(b, n)
		q.Scopes, q.Audiences = scopes{"own"}, []string{"https://api.example"}
		if n > 0 {
			q.Scopes = scopes{agents.Scope(fmt.Sprintf("r%d:s9", n-1)), "own"}
		}
		var facts agents.Facts
		err := p.DB.View(b.Context(), func(tx storage.Tx) (err error) { facts, err = agents.ReadFacts(tx, "bot"); return err })
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("roles=%d", n), func(b *testing.B) {
			for b.Loop() {
				if d, err := p.Rules.Decide(b.Context(), &q, &facts); err != nil || d.Effect != audit.Allow {
					b.Fatal(d, err)
				}
			}
		})
		b.Run(fmt.Sprintf("roles=%d/with-look-ups", n), func(b *testing.B) {
			for b.Loop() {
				if d, err := p.Decide(b.Context(), q); err != nil || d.Effect != audit.Allow {
					b.Fatal(d, err)
				}
			}
		})
	}
}
