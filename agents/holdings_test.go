package agents_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

// TestStoreNeedsThisVersionForRoles: until there is a role or a grant that ends, earlier ones read
// it.
func TestStoreNeedsThisVersionForRoles(t *testing.T) {
	for what, do := range map[string]func(storage.Tx) error{
		"a role": func(tx storage.Tx) error {
			_, err := agents.AddRole(tx, "reader", agents.RoleChange{}, now)
			return err
		},
		"a grant": func(tx storage.Tx) error {
			_, err := agents.Give(tx, "bot", agents.Change{Scopes: []string{"a"}, Until: new(now.Add(time.Hour))}, "uid=0", now)
			return err
		},
	} {
		within(t, func(tx storage.Tx) {
			add(t, tx, "bot", agents.Change{Scopes: []string{"a"}, Roles: []string{}})
			if there, err := format.Reached(tx, format.Roles); there || err != nil {
				t.Errorf("before %s: %t, %v", what, there, err)
			}
			if raw, err := tx.Get("agents", "bot"); err != nil || strings.Contains(string(raw), "roles") || strings.Contains(string(raw), "grants") {
				t.Errorf("an agent without roles is stored as %s, %v", raw, err)
			}
			if err := do(tx); err != nil {
				t.Fatal(err)
			}
			if there, err := format.Reached(tx, format.Roles); !there || err != nil {
				t.Errorf("after %s: %t, %v", what, there, err)
			}
		})
	}
}

func addRole(t testing.TB, tx storage.Tx, n agents.RoleName, c agents.RoleChange) agents.Role {
	t.Helper()
	r, err := agents.AddRole(tx, n, c, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func heldAt(t testing.TB, tx storage.Tx, n agents.Name, at time.Time) *agents.Holdings {
	t.Helper()
	a := get(t, tx, n)
	h, err := agents.Held(tx, &a, at)
	if err != nil {
		t.Fatal(err)
	}
	return &h
}

// TestHoldingsAddUp: own lists, grants and roles, each once and the own ones first.
func TestHoldingsAddUp(t *testing.T) {
	within(t, func(tx storage.Tx) {
		addRole(t, tx, "reader", agents.RoleChange{Scopes: []string{"b", "c"}, Audiences: []string{"https://b.example"}, Details: []string{"payment"}})
		add(t, tx, "bot", agents.Change{Scopes: []string{"a", "b"}, Audiences: []string{"https://a.example"}, Roles: []string{"reader"}})
		end := now.Add(time.Hour)
		if _, err := agents.Give(tx, "bot", agents.Change{Scopes: []string{"d"}, Audiences: []string{"https://d.example"}, Until: &end}, "uid:0", now); err != nil {
			t.Fatal(err)
		}
		until := end.Truncate(time.Second)
		h := heldAt(t, tx, "bot", now)
		if got := fmt.Sprint(h.Scopes(), h.Audiences(), h.Details(), h.Roles()); got != "[a b d c] [https://a.example https://d.example https://b.example] [payment] [reader]" {
			t.Errorf("it has %s", got)
		}
		if got := h.End([]agents.Scope{"a", "b", "c"}, []string{"https://b.example", "https://authority.example"}); !got.IsZero() {
			t.Errorf("what has no end ends at %s", got)
		}
		if got := h.End([]agents.Scope{"a", "d"}, nil); !got.Equal(until) {
			t.Errorf("got %s, want %s", got, until)
		}
		for _, at := range []time.Time{until, until.Add(time.Hour)} {
			if h := heldAt(t, tx, "bot", at); h.Has("d") || h.HasAudience("https://d.example") || !h.Has("c") {
				t.Errorf("at %s it has %v", at, h.Scopes())
			}
		}
		a := get(t, tx, "bot")
		if h, err := agents.HeldEver(tx, &a); err != nil || !h.Has("d") {
			t.Errorf("what it ever had is %v, %v", h.Scopes(), err)
		}
	})
}

// TestRoleOfAGrantEnds, and the later end counts where there are several.
func TestRoleOfAGrantEnds(t *testing.T) {
	within(t, func(tx storage.Tx) {
		addRole(t, tx, "reader", agents.RoleChange{Scopes: []string{"a"}})
		addRole(t, tx, "writer", agents.RoleChange{Scopes: []string{"a", "b"}})
		add(t, tx, "bot", agents.Change{})
		for role, d := range map[string]time.Duration{"reader": time.Hour, "writer": 2 * time.Hour} {
			if _, err := agents.Give(tx, "bot", agents.Change{Roles: []string{role}, Until: new(now.Add(d))}, "uid:0", now); err != nil {
				t.Fatal(err)
			}
		}
		h := heldAt(t, tx, "bot", now)
		if got, want := h.End([]agents.Scope{"a"}, nil), now.Add(2*time.Hour).Truncate(time.Second); !got.Equal(want) {
			t.Errorf("got %s, want %s", got, want)
		}
		for d, want := range map[time.Duration]string{0: "[a b]", 90 * time.Minute: "[a b]", 2 * time.Hour: "[]"} {
			if got := fmt.Sprint(heldAt(t, tx, "bot", now.Add(d)).Scopes()); got != want {
				t.Errorf("after %s it has %s, want %s", d, got, want)
			}
		}
		if _, err := agents.Set(tx, td, "bot", agents.Change{Roles: []string{"reader"}}, now); err != nil {
			t.Fatal(err)
		}
		if a := get(t, tx, "bot"); len(a.Grants) != 0 || fmt.Sprint(a.Roles) != "[reader]" {
			t.Errorf("a list replaces grants: %+v", a)
		}
	})
}

// TestGrantsThatCannotBe are refused.
func TestGrantsThatCannotBe(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		later := new(now.Add(time.Hour))
		for what, c := range map[string]agents.Change{
			"no end":             {Scopes: []string{"a"}},
			"of nothing":         {Until: later},
			"the past":           {Scopes: []string{"a"}, Until: new(now)},
			"no scope":           {Scopes: []string{"two words"}, Until: later},
			"no audience":        {Audiences: []string{"x"}, Until: later},
			"no name":            {Roles: []string{"Role"}, Until: later},
			"what is permitted":  {Scopes: []string{"brevet:admin"}, Until: later},
			"an unprintable why": {Scopes: []string{"a"}, Until: later, Reason: new("a\nb")},
			"too many":           {Scopes: many(65, "s%d"), Until: later},
		} {
			_, err := agents.Give(tx, "bot", c, "uid:0", now)
			refused(t, what, err, agents.ErrInvalid)
		}
		_, err := agents.Give(tx, "bot", agents.Change{Roles: []string{"none"}, Until: later}, "uid:0", now)
		refused(t, "a role that is not there", err, agents.ErrRoleUnknown)
		_, err = agents.Set(tx, td, "bot", agents.Change{Reason: new("why")}, now)
		refused(t, "a reason for nothing", err, agents.ErrInvalid)
		_, err = agents.Set(tx, td, "bot", agents.Change{Scopes: []string{"a"}, Until: later}, now)
		if a := get(t, tx, "bot"); err != nil || len(a.Scopes) != 0 {
			t.Errorf("Set gave what ends for good: %v, %v", a.Scopes, err)
		}
	})
}

// TestRemovedRoleGivesNothing, to nobody, and the name goes to no new role while agents have it
// on record.
func TestRemovedRoleGivesNothing(t *testing.T) {
	within(t, func(tx storage.Tx) {
		addRole(t, tx, "reader", agents.RoleChange{Scopes: []string{"a"}})
		_, err := agents.AddRole(tx, "reader", agents.RoleChange{}, now)
		refused(t, "a second one", err, agents.ErrRoleKnown)
		add(t, tx, "bot", agents.Change{Roles: []string{"reader"}})
		_, _, err = agents.RemoveRole(tx, "reader", false, now)
		refused(t, "a role that is held", err, agents.ErrRoleHeld)
		before, held, err := agents.RemoveRole(tx, "reader", true, now)
		if err != nil || len(held) != 1 || len(before.Scopes) != 1 {
			t.Fatalf("got %+v, %v, %v", before, held, err)
		}
		if h := heldAt(t, tx, "bot", now); h.Has("a") || len(h.Roles()) != 0 || fmt.Sprint(h.Gone()) != "[reader]" {
			t.Errorf("it has %v by %v", h.Scopes(), h.Roles())
		}
		if before, held, err := agents.RemoveRole(tx, "reader", false, now); err != nil || held != nil || before.Removed.IsZero() {
			t.Errorf("again: %+v, %v, %v", before, held, err)
		}
		_, err = agents.GetRole(tx, "reader")
		refused(t, "a removed role", err, agents.ErrRoleUnknown)
		_, err = agents.AddRole(tx, "reader", agents.RoleChange{Scopes: []string{"b"}}, now)
		refused(t, "a role whose name is held", err, agents.ErrRoleHeld)
		if _, err := agents.Set(tx, td, "bot", agents.Change{Roles: []string{}}, now); err != nil {
			t.Fatal(err)
		}
		addRole(t, tx, "reader", agents.RoleChange{Scopes: []string{"b"}})
		if _, err := agents.Set(tx, td, "bot", agents.Change{Roles: []string{"reader"}}, now); err != nil || !heldAt(t, tx, "bot", now).Has("b") {
			t.Errorf("the new role: %v", err)
		}
	})
}

// TestRolesAreChecked: like agents.
func TestRolesAreChecked(t *testing.T) {
	within(t, func(tx storage.Tx) {
		for what, c := range map[string]agents.RoleChange{
			"no scope":         {Scopes: []string{"two words"}},
			"nothing":          {Scopes: []string{"brevet:admin"}},
			"no audience":      {Audiences: []string{"x"}},
			"no type":          {Details: []string{"two words"}},
			"no description":   {Description: new("a\nb")},
			"too many scopes":  {Scopes: many(65, "s%d")},
			"too many types":   {Details: many(65, "s%d")},
			"not so many URLs": {Audiences: many(65, "https://%d.example")},
		} {
			_, err := agents.AddRole(tx, "reader", c, now)
			refused(t, what, err, agents.ErrInvalid)
		}
		_, err := agents.SetRole(tx, "reader", agents.RoleChange{}, now)
		refused(t, "one that is not there", err, agents.ErrRoleUnknown)
		for i := range 17 {
			addRole(t, tx, agents.RoleName(fmt.Sprint("r", i)), agents.RoleChange{})
		}
		add(t, tx, "bot", agents.Change{Roles: many(16, "r%d")})
		_, err = agents.Set(tx, td, "bot", agents.Change{Roles: many(17, "r%d")}, now)
		refused(t, "too many roles", err, agents.ErrInvalid)
	})
}

// TestFactsTellOfRoles: the versions change with any of the roles of an agent, and with no
// other.
func TestFactsTellOfRoles(t *testing.T) {
	within(t, func(tx storage.Tx) {
		for _, n := range []agents.RoleName{"one", "two", "other"} {
			addRole(t, tx, n, agents.RoleChange{Scopes: []string{"a"}})
		}
		add(t, tx, "bot", agents.Change{Roles: []string{"one"}})
		if _, err := agents.Give(tx, "bot", agents.Change{Roles: []string{"two"}, Until: new(now.Add(time.Hour))}, "uid:0", now); err != nil {
			t.Fatal(err)
		}
		last, err := agents.ReadFacts(tx, "bot")
		if err != nil {
			t.Fatal(err)
		}
		changes := []struct {
			what string
			do   func() error
			told bool
		}{
			{"nothing", func() error { return nil }, false},
			{"another role", func() error {
				_, err := agents.SetRole(tx, "other", agents.RoleChange{Scopes: []string{}}, now)
				return err
			}, false},
			{"its role", func() error {
				_, err := agents.SetRole(tx, "one", agents.RoleChange{Scopes: []string{}}, now)
				return err
			}, true},
			{"the role of its grant", func() error {
				_, err := agents.SetRole(tx, "two", agents.RoleChange{Audiences: []string{"https://a.example"}}, now)
				return err
			}, true},
			{"removal", func() error { _, _, err := agents.RemoveRole(tx, "two", true, now); return err }, true},
		}
		for _, c := range changes {
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			f, err := agents.ReadFacts(tx, "bot")
			if err != nil || (f.Versions != last.Versions) != c.told {
				t.Errorf("%s: versions differ: %t, %v", c.what, f.Versions != last.Versions, err)
			}
			last = f
		}
	})
}

// FuzzParseRoleName: a name that is accepted is one of an agent as well, and prints as it was
// read.
func FuzzParseRoleName(f *testing.F) {
	for _, s := range []string{"reader", "a", "-a", "a.b", "A", "", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := agents.ParseRoleName(s)
		a, same := agents.ParseName(s)
		if (err == nil) != (same == nil) || err == nil && (n.String() != s || string(a) != s) {
			t.Errorf("%q: %q, %v; as an agent: %q, %v", s, n, err, a, same)
		}
		if err != nil && !errors.Is(err, agents.ErrInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	})
}

// TestHoldingsFollowEveryChange compares the registry with a model, over random changes of
// roles, agents and grants, and time that passes.
func TestHoldingsFollowEveryChange(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	within(t, func(tx storage.Tx) {
		w := newRoleWorld(t, tx, rand.New(rand.NewPCG(seed, 1)))
		for range 3000 {
			w.step()
			w.check()
		}
	})
}

// A roleWorld is a registry and what it should say.
type roleWorld struct {
	t      *testing.T
	tx     storage.Tx
	r      *rand.Rand
	at     time.Time
	roles  map[agents.RoleName]map[agents.Scope]bool // nil once it was removed
	scopes map[agents.Name]map[agents.Scope]bool
	has    map[agents.Name]map[agents.RoleName]bool
	ends   map[agents.Name]map[string]time.Time // "scope a", "role r"
}

var (
	modelAgents = []agents.Name{"ann", "bob", "cid"}
	modelRoles  = []agents.RoleName{"one", "two", "six"}
	modelScopes = []string{"a", "b", "c", "d"}
)

func newRoleWorld(t *testing.T, tx storage.Tx, r *rand.Rand) *roleWorld {
	w := &roleWorld{t, tx, r, now, map[agents.RoleName]map[agents.Scope]bool{}, map[agents.Name]map[agents.Scope]bool{}, map[agents.Name]map[agents.RoleName]bool{}, map[agents.Name]map[string]time.Time{}}
	for _, n := range modelAgents {
		add(t, tx, n, agents.Change{})
		w.scopes[n], w.has[n], w.ends[n] = map[agents.Scope]bool{}, map[agents.RoleName]bool{}, map[string]time.Time{}
	}
	return w
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// some returns a random part of the scopes, and as a set.
func (w *roleWorld) some() ([]string, map[agents.Scope]bool) {
	list, set := []string{}, map[agents.Scope]bool{}
	for _, s := range modelScopes {
		if w.r.IntN(3) == 0 {
			list, set[agents.Scope(s)] = append(list, s), true
		}
	}
	return list, set
}

// onRecord reports whether anybody has the role on record.
func (w *roleWorld) onRecord(role agents.RoleName) bool {
	for _, n := range modelAgents {
		if _, ends := w.ends[n]["role "+string(role)]; ends || w.has[n][role] {
			return true
		}
	}
	return false
}

func (w *roleWorld) step() {
	n, role := pick(w.r, modelAgents), pick(w.r, modelRoles)
	list, set := w.some()
	there := w.roles[role] != nil
	expect := func(what string, err error, ok bool) {
		if (err == nil) != ok {
			w.t.Fatalf("%s of %s, %s: got %v", what, n, role, err)
		}
	}
	switch w.r.IntN(8) {
	case 0:
		ok := !there && !w.onRecord(role)
		_, err := agents.AddRole(w.tx, role, agents.RoleChange{Scopes: list}, w.at)
		if expect("adding", err, ok); ok {
			w.roles[role] = set
		}
	case 1:
		_, err := agents.SetRole(w.tx, role, agents.RoleChange{Scopes: list}, w.at)
		if expect("setting", err, there); there {
			w.roles[role] = set
		}
	case 2:
		force := w.r.IntN(2) == 0
		_, known := w.roles[role]
		ok := there && (force || !w.onRecord(role)) || known && !there
		_, _, err := agents.RemoveRole(w.tx, role, force, w.at)
		if expect("removing", err, ok); ok && there {
			w.roles[role] = nil
		}
	case 3:
		_, err := agents.Set(w.tx, td, n, agents.Change{Scopes: list}, w.at)
		expect("scopes", err, true)
		w.scopes[n] = set
		maps.DeleteFunc(w.ends[n], func(k string, _ time.Time) bool { return k[0] == 's' })
	case 4:
		_, ends := w.ends[n]["role "+string(role)]
		ok := there || w.has[n][role] || ends
		_, err := agents.Set(w.tx, td, n, agents.Change{Roles: []string{string(role)}}, w.at)
		if expect("roles", err, ok); ok {
			w.has[n] = map[agents.RoleName]bool{role: true}
			maps.DeleteFunc(w.ends[n], func(k string, _ time.Time) bool { return k[0] == 'r' })
		}
	case 5:
		_, ends := w.ends[n]["role "+string(role)]
		until := w.at.Add(time.Duration(1+w.r.IntN(100)) * time.Minute)
		c := agents.Change{Roles: []string{string(role)}, Scopes: list, Until: &until}
		take := w.r.IntN(3) == 0
		if take {
			c.Until = new(time.Time)
		}
		ok := there || w.has[n][role] || ends
		_, err := agents.Give(w.tx, n, c, "uid:0", w.at)
		if expect("giving", err, ok); !ok {
			return
		}
		for _, k := range append(slices.Collect(func(yield func(string) bool) {
			for _, s := range list {
				yield("scope " + s)
			}
		}), "role "+string(role)) {
			if w.ends[n][k] = until.Truncate(time.Second); take {
				delete(w.ends[n], k)
			}
		}
	case 6:
		_, err := agents.Set(w.tx, td, n, agents.Change{Roles: []string{}}, w.at)
		expect("clearing", err, true)
		w.has[n] = map[agents.RoleName]bool{}
		maps.DeleteFunc(w.ends[n], func(k string, _ time.Time) bool { return k[0] == 'r' })
	default:
		w.at = w.at.Add(time.Duration(w.r.IntN(20)) * time.Minute)
	}
}

// check compares what each agent has, by both ways of reading.
func (w *roleWorld) check() {
	for _, n := range modelAgents {
		want := maps.Clone(w.scopes[n])
		with := maps.Clone(w.has[n])
		for k, until := range w.ends[n] {
			switch {
			case !w.at.Before(until):
			case k[0] == 's':
				want[agents.Scope(k[len("scope "):])] = true
			default:
				with[agents.RoleName(k[len("role "):])] = true
			}
		}
		for r := range with {
			maps.Copy(want, w.roles[r])
		}
		f, err := agents.ReadFacts(w.tx, n)
		if err != nil {
			w.t.Fatal(err)
		}
		h, again := heldAt(w.t, w.tx, n, w.at), f.Holdings(w.at)
		for _, got := range [][]agents.Scope{h.Scopes(), again.Scopes()} {
			if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(maps.Keys(want))) {
				w.t.Fatalf("%s has %v, want %v", n, got, want)
			}
		}
		for _, s := range modelScopes {
			if h.Has(agents.Scope(s)) != want[agents.Scope(s)] {
				w.t.Fatalf("%s has %s: %t", n, s, h.Has(agents.Scope(s)))
			}
		}
	}
}
