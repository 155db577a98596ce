package server

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
)

// sumOf returns the SHA-256 of a public key.
func sumOf(t testing.TB, key *ecdsa.PrivateKey) [32]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(der)
}

// naming returns an assertion that names a next key.
func (a *world) naming(name string, key *ecdsa.PrivateKey, sum [32]byte) string {
	return a.signed(name, key, time.Minute, map[string]any{"jti": rand.Text(), "next_key": base64.RawURLEncoding.EncodeToString(sum[:])})
}

// replaceKey asks for a key in the place of another one.
func (a *world) replaceKey(assertion string, next *ecdsa.PrivateKey) reply {
	a.t.Helper()
	return a.postJSON(a.agents, "/v1/keys", map[string]string{"csr": csrPEM(a.t, next, nil), "client_assertion": assertion}, nil)
}

// TestAgentReplacesItsKey: both keys sign, one transaction registers the new one and ends the
// old one, the age begins again, and the event names both. So whoever stole the old key cannot
// use it beside the agent.
func TestAgentReplacesItsKey(t *testing.T) {
	const day = 24 * time.Hour
	a := newWithKeyAges(t, agents.KeyMaxAges{Lasting: 30 * day})
	old, next, other := newKey(t), newKey(t), newKey(t)
	a.add("bot", agents.Change{Keys: []string{publicPEM(t, old), publicPEM(t, other)}})
	a.set(dawn.Add(20 * day))
	first := a.byKey(a.assertion("bot", old))
	listed, _ := first.json["registered_keys"].([]any)
	if len(listed) != 2 || listed[0].(map[string]any)["until"] != dawn.Truncate(time.Second).Add(30*day).Format(time.RFC3339) {
		t.Errorf("the agent is told of %v", listed)
	}
	before := a.authority.Events()
	got := a.replaceKey(a.naming("bot", old, sumOf(t, next)), next)
	if !got.ok() || got.json["until"] != a.now().Truncate(time.Second).Add(30*day).Format(time.RFC3339) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	e := a.log(before)[0]
	if e.Action != audit.AgentKeyReplace || e.Subject != "bot" || e.Actor != "spiffe://example.internal/agent/bot" || e.Decision != audit.Allow || len(e.Details.Change) != 1 {
		t.Fatalf("recorded is %+v with %+v", e, e.Details)
	}
	gone, come := sumOf(t, old), sumOf(t, next)
	c := e.Details.Change[0]
	if c.Field != "keys" || !strings.Contains(c.From, hexOf(gone)) || strings.Contains(c.To, hexOf(gone)) || !strings.Contains(c.To, hexOf(come)) || !strings.Contains(c.To, hexOf(sumOf(t, other))) || e.Details.KeyThumbprint != hexOf(come) {
		t.Errorf("recorded is %+v", c)
	}
	if got := a.byKey(a.assertion("bot", old)); got.status != http.StatusUnauthorized {
		t.Errorf("the old key: %d %s", got.status, got.body)
	}
	if got := a.replaceKey(a.naming("bot", old, sumOf(t, newKey(t))), newKey(t)); got.status != http.StatusUnauthorized {
		t.Errorf("the old key, again: %d %s", got.status, got.body)
	}
	if got := a.replaceKey(a.naming("bot", next, gone), old); got.status != http.StatusBadRequest || !strings.Contains(got.body, "before") {
		t.Errorf("back to the old key: %d %s", got.status, got.body)
	}
	for what, key := range map[string]*ecdsa.PrivateKey{"new": next, "other": other} {
		if got := a.byKey(a.assertion("bot", key)); !got.ok() {
			t.Errorf("the %s key: %d %s", what, got.status, got.body)
		}
	}
	a.set(dawn.Add(40 * day))
	if got := a.byKey(a.assertion("bot", next)); !got.ok() {
		t.Errorf("the new key has its own age: %d %s", got.status, got.body)
	}
	if got := a.replaceKey(a.naming("bot", other, sumOf(t, old)), old); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "key_max_age") {
		t.Errorf("a key that is too old: %d %s", got.status, got.body)
	}
}

// TestAgentIsToldOfTheShorterLimit that holds for its key, because the health warns of that one.
func TestAgentIsToldOfTheShorterLimit(t *testing.T) {
	const day = 24 * time.Hour
	a := newWithKeyAges(t, agents.KeyMaxAges{Registered: 20 * day, Lasting: 30 * day})
	old, next := newKey(t), newKey(t)
	a.add("bot", agents.Change{Keys: []string{publicPEM(t, old)}})
	until := a.now().Truncate(time.Second).Add(20 * day).Format(time.RFC3339)
	listed, _ := a.byKey(a.assertion("bot", old)).json["registered_keys"].([]any)
	if len(listed) != 1 || listed[0].(map[string]any)["until"] != until {
		t.Errorf("the agent is told of %v", listed)
	}
	if got := a.replaceKey(a.naming("bot", old, sumOf(t, next)), next); got.json["until"] != until {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func hexOf(sum [32]byte) string { return fmt.Sprintf("%x", sum) }

// TestReplacementsThatAreRefused leave the key as it is, and are on record.
func TestReplacementsThatAreRefused(t *testing.T) {
	a := newAuthority(t)
	key, next := newKey(t), newKey(t)
	cert := a.enrolled("certified")
	a.add("bot", agents.Change{Keys: []string{publicPEM(t, key)}})
	a.add("off", agents.Change{Keys: []string{publicPEM(t, newKey(t))}})
	sum := sumOf(t, next)
	for what, c := range map[string]struct {
		assertion string
		status    int
	}{
		"an assertion that names no key":    {a.assertion("bot", key), 401},
		"one that names another key":        {a.naming("bot", key, sumOf(t, key)), 400},
		"one by the new key":                {a.naming("bot", next, sum), 401},
		"one of another agent":              {a.naming("off", key, sum), 401},
		"one by the key of a certificate":   {a.naming("certified", a.keyOf(cert), sum), 401},
		"one that names nothing like a key": {a.signed("bot", key, time.Minute, map[string]any{"jti": "short", "next_key": "AAAA"}), 401},
		"one for long":                      {a.signed("bot", key, 6*time.Minute, map[string]any{"jti": "long", "next_key": base64.RawURLEncoding.EncodeToString(sum[:])}), 401},
	} {
		before := a.authority.Events()
		if got := a.replaceKey(c.assertion, next); got.status != c.status {
			t.Errorf("%s: %d %s, want %d", what, got.status, got.body, c.status)
		}
		if events := a.log(before); c.status == 401 && strings.Contains(what, "no key") && (len(events) != 1 || events[0].Action != audit.AgentKeyReplace || events[0].Decision != audit.Deny) {
			t.Errorf("%s: recorded is %+v", what, events)
		}
	}
	if got := a.replaceKey(a.naming("bot", key, sumOf(t, key)), key); got.status != http.StatusBadRequest {
		t.Errorf("by itself: %d %s", got.status, got.body)
	}
	naming := a.naming("bot", key, sum)
	if got := a.byKey(naming); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "next_key") {
		t.Errorf("a certificate for an assertion that names a key: %d %s", got.status, got.body)
	}
	block, _ := pem.Decode([]byte(csrPEM(t, next, nil)))
	block.Bytes[len(block.Bytes)-1] ^= 1
	forged := a.postJSON(a.agents, "/v1/keys", map[string]string{"csr": string(pem.EncodeToMemory(block)), "client_assertion": a.naming("bot", key, sum)}, nil)
	if forged.status != http.StatusBadRequest {
		t.Errorf("without the new key: %d %s", forged.status, forged.body)
	}
	a.operate("POST", "/agents/bot/suspend", nil)
	if got := a.replaceKey(a.naming("bot", key, sum), next); got.status != http.StatusUnauthorized {
		t.Errorf("suspended: %d %s", got.status, got.body)
	}
	a.operate("POST", "/agents/bot/resume", nil)
	a.operate("POST", "/revoke", api.Selection{Agent: "bot"})
	a.operate("POST", "/agents/bot/reenroll", nil)
	if got := a.replaceKey(naming, next); !got.ok() {
		t.Errorf("after a suspension, a revocation and a new invitation, by an assertion that was not used up: %d %s", got.status, got.body)
	}
	if got := a.replaceKey(naming, newKey(t)); got.status != http.StatusUnauthorized {
		t.Errorf("again: %d %s", got.status, got.body)
	}
}
