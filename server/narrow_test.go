package server_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A power is something of which an agent may have more or less.
type power struct {
	set func(c *api.Change, r *rand.Rand, agent int) // to a random value
	of  func(api.Shown) any
	max func(a, b any) bool // a is no more than b
}

// some returns a random part of a list, as text.
func some(r *rand.Rand, all ...string) []string {
	kept := []string{}
	for _, s := range all {
		if r.IntN(2) == 0 {
			kept = append(kept, s)
		}
	}
	return kept
}

func within(a, b any) bool {
	for _, s := range a.([]string) {
		if !slices.Contains(b.([]string), s) {
			return false
		}
	}
	return true
}

func noLonger(a, b any) bool { return a.(time.Duration) <= b.(time.Duration) }

// span returns the duration that text says; "" and "never" are what otherwise says.
func span(text string, otherwise time.Duration) any {
	if d, err := clock.ParseDuration(text); err == nil && text != "" {
		return d
	}
	return otherwise
}

const forever = time.Duration(1 << 62)

// powers are those of agents by the names of the fields that change them.
func powers(t *testing.T, w *servertest.World) map[string]power {
	keys := map[int][]string{}
	return map[string]power{
		"scopes": {func(c *api.Change, r *rand.Rand, agent int) { c.Scopes = some(r, "a", "b", "c") }, func(a api.Shown) any { return a.Scopes }, within},
		"audiences": {func(c *api.Change, r *rand.Rand, agent int) {
			c.Audiences = some(r, "https://a.example", "https://b.example")
		}, func(a api.Shown) any { return a.Audiences }, within},
		"roles": {func(c *api.Change, r *rand.Rand, agent int) { c.Roles = some(r, "first", "second") }, func(a api.Shown) any { return a.Roles }, within},
		"until": {func(c *api.Change, r *rand.Rand, agent int) {
			c.Until = new(w.Clock.Now().Add(time.Duration(1+r.IntN(9)) * time.Hour))
			if r.IntN(3) == 0 {
				c.Until = new(time.Time)
			}
		}, func(a api.Shown) any { return a.Grants }, func(a, b any) bool {
			for _, g := range a.([]api.Grant) {
				if !slices.ContainsFunc(b.([]api.Grant), func(h api.Grant) bool {
					return g.Scope == h.Scope && g.Audience == h.Audience && g.Role == h.Role && !g.Until.After(h.Until)
				}) {
					return false
				}
			}
			return true
		}},
		"ips": {func(c *api.Change, r *rand.Rand, agent int) {
			c.IPs = some(r, fmt.Sprintf("192.0.2.%d", 1+agent), fmt.Sprintf("2001:db8:1::1%d", 1+agent))
		}, func(a api.Shown) any { return a.IPs }, within},
		"dns": {func(c *api.Change, r *rand.Rand, agent int) {
			c.DNS = some(r, fmt.Sprintf("a%d.example.com", agent), fmt.Sprintf("b%d.example.com,challenge", agent))
			if r.IntN(2) == 0 { // what was free needs a challenge
				c.DNS = []string{fmt.Sprintf("a%d.example.com,challenge", agent)}
			}
		}, func(a api.Shown) any { return a.DNS }, within},
		"keys": {func(c *api.Change, r *rand.Rand, agent int) {
			for len(keys[agent]) < 3 { // a key belongs to one agent
				keys[agent] = append(keys[agent], registration(t, registrable(t)))
			}
			c.Keys = some(r, keys[agent]...)
		}, func(a api.Shown) any { return a.KeyThumbprints }, within},
		"ttl": {func(c *api.Change, r *rand.Rand, agent int) { c.TTL = new(time.Duration(r.IntN(5)) * time.Minute) }, func(a api.Shown) any { return span(a.TTL, forever) }, noLonger},
		"renew_grace": {func(c *api.Change, r *rand.Rand, agent int) {
			c.RenewGrace = new(time.Duration(r.IntN(9)-1) * 6 * time.Hour)
		}, func(a api.Shown) any { return span(a.RenewGrace, agents.DefaultRenewGrace) }, noLonger},
		"key_max_age": {func(c *api.Change, r *rand.Rand, agent int) {
			c.KeyMaxAge = new(time.Duration(r.IntN(5)-1) * 24 * time.Hour)
		}, func(a api.Shown) any {
			if a.KeyMaxAge == "0s" || a.KeyMaxAge == "never" {
				return forever
			}
			return span(a.KeyMaxAge, forever)
		}, noLonger},
		"expires": {func(c *api.Change, r *rand.Rand, agent int) {
			end := w.Clock.Now().Add(time.Duration(1+r.IntN(9)) * time.Hour)
			if r.IntN(3) == 0 {
				end = time.Time{}
			}
			c.Expires = &end
		}, func(a api.Shown) any {
			if a.Expires.IsZero() {
				return forever
			}
			return time.Duration(a.Expires.Unix()) * time.Second
		}, noLonger},
		"quotas": {func(c *api.Change, r *rand.Rand, agent int) {
			c.Quotas = map[string]int64{agents.QuotaKinds()[r.IntN(len(agents.QuotaKinds()))].String(): int64(r.IntN(100_000) - 20_000)}
		}, func(a api.Shown) any { return agents.Agent{Quotas: a.Quotas}.QuotasOf(agents.DefaultQuotas) }, func(a, b any) bool {
			for k, n := range a.(agents.Quotas) {
				if n > b.(agents.Quotas)[k] {
					return false
				}
			}
			return true
		}},
	}
}

// TestRestoreGivesNothingBack: whatever changes came after the backup, in whatever order, no agent
// can do more after the restore than at any time since.
func TestRestoreGivesNothingBack(t *testing.T) {
	w := servertest.New(t)
	all := powers(t, w)
	for f := range reflect.TypeFor[api.Change]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, is := all[name]; is == slices.Contains([]string{"owner", "purpose", "labels", "reason"}, name) {
			t.Errorf("field %s: is a power of agents: %t", name, is)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	fields := slices.Sorted(maps.Keys(all))
	change := func(agent, n int) (c api.Change) {
		for _, i := range r.Perm(len(fields))[:n] {
			all[fields[i]].set(&c, r, agent)
		}
		if c.Until != nil && len(c.Scopes)+len(c.Audiences)+len(c.Roles) == 0 { // it must be about something
			c.Scopes = []string{"a"}
		}
		return c
	}
	least := map[string][]api.Shown{}
	look := func(name string) {
		a, err := w.Admin.Agent(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		least[name] = append(least[name], a)
	}
	for _, name := range []string{"first", "second"} {
		if _, err := w.Admin.AddRole(t.Context(), name, api.RoleChange{}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 60 {
		name := fmt.Sprintf("bot-%d", n)
		w.Add(name, agents.Change(change(n, len(fields))))
		look(name)
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	backup(t, w, file)
	for range 200 {
		n := r.IntN(60)
		name := fmt.Sprintf("bot-%d", n)
		if _, err := w.Admin.SetAgent(t.Context(), name, change(n, 1+r.IntN(3))); err != nil {
			t.Fatal(err)
		}
		look(name)
	}
	w.Stop()
	if _, err := server.Restore(t.Context(), server.RestoreConfig{Dir: w.Dir, File: file}, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.Start()
	for name, before := range least {
		after, err := w.Admin.Agent(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for field, p := range all {
			for _, b := range before {
				if !p.max(p.of(after), p.of(b)) {
					t.Errorf("%s: %s are %v after the restore, and were %v", name, field, p.of(after), p.of(b))
				}
			}
		}
	}
}

// TestRestoreEndsWhatAGroupHeldThen: an agent that came to an owner or a label after the backup
// was revoked with it, and stays so.
func TestRestoreEndsWhatAGroupHeldThen(t *testing.T) {
	w := servertest.New(t)
	held := map[string]*servertest.Agent{}
	for _, name := range []string{"steady", "moved", "labelled"} {
		held[name] = w.Enroll(name, agents.Change{Owner: new("first")})
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	backup(t, w, file)
	ctx, c := t.Context(), w.Admin
	err := errors.Join(
		only(c.SetAgent(ctx, "moved", api.Change{Owner: new("second")})), only(c.SetAgent(ctx, "labelled", api.Change{Labels: map[string]string{"a": "b"}})),
		only(c.Revoke(ctx, api.Selection{Owner: "second"})), only(c.Revoke(ctx, api.Selection{Labels: map[string]string{"a": "b"}})),
	)
	if err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if _, err := server.Restore(ctx, server.RestoreConfig{Dir: w.Dir, File: file, KeepIssued: true}, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.Start()
	for name, a := range held {
		if got := a.Renew(); (got.Status == http.StatusOK) != (name == "steady") {
			t.Errorf("%s renews: %d %s", name, got.Status, got.Body)
		}
	}
}
