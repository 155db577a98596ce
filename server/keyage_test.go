package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// newWithKeyAges returns an authority with limits for the age of keys.
func newWithKeyAges(t *testing.T, m agents.KeyMaxAges) *world {
	a := newAuthority(t)
	a.file.KeyMaxAges = m
	if err := a.assemble(keyfile.NewStore(a.Dir, keyfile.NoPassphrase)); err != nil {
		t.Fatal(err)
	}
	a.agents, a.public, a.operators = a.observed(a.agentHandler()), a.observed(a.publicHandler()), fromHere(t, a.observed(a.operatorHandler()))
	return a
}

// rotateAll rotates what is due after a leap in time, before the other loops run.
func (a *world) rotateAll() {
	a.t.Helper()
	if err := a.authority.RotateDue(a.t.Context()); err != nil {
		a.t.Error(err)
	}
	a.work()
}

// TestKeysGetTooOld by the limit for what they are used for: operators are warned in time, the
// key is refused from then on, with words that say what to do, and a new one works.
func TestKeysGetTooOld(t *testing.T) {
	const day = 24 * time.Hour
	a := newWithKeyAges(t, agents.KeyMaxAges{Registered: 40 * day, Lasting: 20 * day})
	key := newKey(t)
	a.add("bot", agents.Change{Keys: []string{publicPEM(t, key)}, Scopes: []string{"a:b"}, Audiences: []string{"https://api.example"}})
	token := func() reply {
		form := a.byAssertion("bot", key)
		form.Set("resource", "https://api.example")
		return a.postForm("/oauth/token", wantToken(form), nil)
	}
	certificate := func() reply { return a.byKey(a.assertion("bot", key)) }
	at := func(after time.Duration) {
		a.set(dawn.Add(after))
		a.forget()
		a.rotateAll()
	}
	if told := about(t, a.authority, "agent-key-old"); told != nil {
		t.Errorf("at first: %q", told)
	}
	at(20*day - time.Minute)
	if told := about(t, a.authority, "agent-key-old"); len(told) != 1 || !strings.Contains(told[0], "agent bot will be too old at") || !strings.Contains(told[0], "brevet agent set bot --key") {
		t.Errorf("before the first limit: %q", told)
	}
	if end := a.authority.Ends(t.Context())["agent-key"]; !end.Equal(dawn.Truncate(time.Second).Add(20 * day)) {
		t.Errorf("the metric says %s", end)
	}
	if c, o := certificate(), token(); !c.ok() || !o.ok() {
		t.Errorf("in time: %d %s, %d %s", c.status, c.body, o.status, o.body)
	}
	at(20 * day)
	if c, o := certificate(), token(); c.status != http.StatusUnauthorized || !strings.Contains(c.body, "key_max_age is 20d: have another one registered") || !o.ok() {
		t.Errorf("after the limit for certificates: %d %s, %d %s", c.status, c.body, o.status, o.body)
	}
	if told := about(t, a.authority, "agent-key-old"); len(told) != 1 || !strings.Contains(told[0], "is too old since") {
		t.Errorf("after the first limit: %q", told)
	}
	at(40 * day)
	if o := token(); o.status != http.StatusUnauthorized || !strings.Contains(o.body, "too old") {
		t.Errorf("after both: %d %s", o.status, o.body)
	}
	a.operate("PATCH", "/agents/bot", agents.Change{Keys: []string{publicPEM(t, key)}})
	if o := token(); o.ok() {
		t.Errorf("registered again, the key is as old: %d %s", o.status, o.body)
	}
	key = newKey(t)
	a.operate("PATCH", "/agents/bot", agents.Change{Keys: []string{publicPEM(t, key)}})
	if c, o := certificate(), token(); !c.ok() || !o.ok() {
		t.Errorf("with a new key: %d %s, %d %s", c.status, c.body, o.status, o.body)
	}
	a.operate("PATCH", "/agents/bot", agents.Change{KeyMaxAge: new(5 * day)})
	at(45*day + time.Second)
	if c := certificate(); c.ok() {
		t.Errorf("by its own limit: %d %s", c.status, c.body)
	}
	a.operate("PATCH", "/agents/bot", agents.Change{KeyMaxAge: new(time.Duration(0))})
	at(1000 * day)
	if c, o := certificate(), token(); !c.ok() || !o.ok() || about(t, a.authority, "agent-key-old") != nil {
		t.Errorf("without a limit: %d %s, %d %s", c.status, c.body, o.status, o.body)
	}
}

// TestAccountKeysGetTooOld, unless the client changes them in time (RFC 8555, section 7.3.5).
func TestAccountKeysGetTooOld(t *testing.T) {
	const day = 24 * time.Hour
	a := newWithKeyAges(t, agents.KeyMaxAges{ACME: 20 * day})
	c := a.newClaimant(1)
	c.orderByACME()
	begin := a.now()
	order := func() reply {
		return c.account.post("/acme/new-order", map[string]any{"identifiers": []any{map[string]string{"type": "dns", "value": c.dns()}}})
	}
	a.set(begin.Add(19 * day))
	a.forget()
	if told := about(t, a.authority, "agent-key-old"); len(told) != 1 || !strings.Contains(told[0], "ACME account of agent agent-1 will be too old") || !strings.Contains(told[0], "brevet agent reenroll agent-1") {
		t.Errorf("%q", told)
	}
	next := newKey(t)
	if got := c.account.changeKeyTo(next); !got.ok() {
		t.Fatalf("changing the key: %d %s", got.status, got.body)
	}
	first := c.account.key
	c.account.key = next
	if got := c.account.changeKeyTo(first); got.status != http.StatusBadRequest || got.json["type"] != "urn:ietf:params:acme:error:badPublicKey" {
		t.Errorf("back to the first key: %d %s", got.status, got.body)
	}
	a.set(begin.Add(38 * day))
	a.forget()
	if got := order(); !got.ok() {
		t.Errorf("with the second key: %d %s", got.status, got.body)
	}
	a.set(begin.Add(39*day + time.Second))
	for what, got := range map[string]reply{"an order": order(), "another key": c.account.changeKey()} {
		if got.status != http.StatusUnauthorized || got.json["type"] != "urn:ietf:params:acme:error:unauthorized" || !strings.Contains(got.body, "brevet agent reenroll") || !strings.Contains(got.body, "section 7.3.5") {
			t.Errorf("%s with a key that is too old: %d %s", what, got.status, got.body)
		}
	}
	old := c.account.key
	c.bindACME()
	c.unopened.key = old
	if got := c.unopened.open(); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "new account key") {
		t.Errorf("opening the account again: %d %s", got.status, got.body)
	}
	c.unopened.key = newKey(t)
	if got := c.unopened.open(); got.status != http.StatusCreated {
		t.Errorf("with a new key and the same binding: %d %s", got.status, got.body)
	}
}

// TestManyOldKeysAreNamedUpToABound.
func TestManyOldKeysAreNamedUpToABound(t *testing.T) {
	a := newWithKeyAges(t, agents.KeyMaxAges{Registered: 24 * time.Hour})
	for n := range 13 {
		a.newClaimant(n)
	}
	a.set(a.now().Add(23 * time.Hour))
	if told := about(t, a.authority, "agent-key-old"); len(told) != 11 || !strings.Contains(strings.Join(told, "\n"), "3 more agents") {
		t.Errorf("%q", told)
	}
}

// TestKeysOfEarlierVersionsCountFromTheFirstStart.
func TestKeysOfEarlierVersionsCountFromTheFirstStart(t *testing.T) {
	const day = 24 * time.Hour
	a := newWithKeyAges(t, agents.KeyMaxAges{Registered: 20 * day, Lasting: 20 * day})
	key := newKey(t)
	a.add("bot", agents.Change{Keys: []string{publicPEM(t, key)}})
	a.set(dawn.Add(100 * day))
	a.write(func(tx storage.Tx) error {
		agent, err := agents.Get(tx, "bot")
		if err != nil {
			return err
		}
		agent.KeyDates = nil
		if err := storage.Table[agents.Agent]("agents").Put(tx, "bot", agent); err != nil {
			return err
		}
		return storage.Table[time.Time]("keys_dated").Delete(tx, "from")
	})
	for _, x := range []struct {
		after time.Duration
		start bool
		ok    bool
	}{{100 * day, true, true}, {119 * day, true, true}, {120 * day, true, false}} {
		a.set(dawn.Add(x.after))
		a.rotateAll()
		if err := a.authority.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := a.byKey(a.assertion("bot", key)); got.ok() != x.ok {
			t.Errorf("after %s: %d %s", x.after, got.status, got.body)
		}
	}
}
