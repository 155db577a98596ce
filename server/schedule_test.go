package server

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/format"
	"github.com/brevet-ca/brevet/storage/keys"
)

// work does what the loops do that have to do with keys.
func (a *world) work() {
	a.t.Helper()
	ctx := a.t.Context()
	for what, do := range map[string]func() error{
		"checkpoint": func() error { return a.authority.SaveCheckpoint(ctx) },
		"rotating":   func() error { return a.authority.RotateDue(ctx) }, "taking over": func() error { return a.authority.PromoteDue(ctx) },
		"destroying": func() error { return a.authority.DestroySpent(ctx) }, "the server's certificate": func() error { return a.authority.Own.Renew(ctx) },
		"the CRL": func() error { _, err := a.authority.CRL.PublishRegular(ctx); return err }, "the roots' CRLs": func() error { return a.authority.CRL.PublishRoots(ctx, false) },
	} {
		if err := do(); err != nil {
			a.t.Errorf("%s at %s: %v", what, a.now(), err)
		}
	}
}

// step lets a minute go by if a token key is announced, an hour around the rotation of an
// issuer, and most of a day otherwise.
func (a *world) step() {
	a.t.Helper()
	next, err := a.keysOf(keys.Tokens)
	if err != nil {
		a.t.Fatal(err)
	}
	if slices.ContainsFunc(next, func(k keys.Key) bool { return k.State == keys.StateNext }) {
		time.Sleep(time.Minute)
		return
	}
	for range 23 {
		time.Sleep(time.Hour)
		if issuer := a.authority.CA.Issuer(); a.now().After(issuer.NotBefore.Add(58 * 24 * time.Hour)) {
			break
		}
	}
	a.forget()
}

// kidOf returns the identifier of the key that signed a token.
func kidOf(t *testing.T, token string) string {
	t.Helper()
	header, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	var h struct{ Kid string }
	if err := errors.Join(err, json.Unmarshal(text, &h)); err != nil || h.Kid == "" {
		t.Fatalf("%s: %v", text, err)
	}
	return h.Kid
}

// TestKeysRotateForYears without an operator, for every kind of authority: certificates and
// tokens verify at all times, also for a relying party that fetches the JWK Set as rarely as
// it may; nothing warns but of backups; and what is retired goes.
func TestKeysRotateForYears(t *testing.T) {
	for _, algorithm := range everyKind {
		t.Run(algorithm, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { rotateForYears(t, algorithm) }) })
	}
}

func rotateForYears(t *testing.T, algorithm string) {
	a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
	defer a.Close()
	a.begun = time.Now()
	cert := a.enrolled("machine")
	var cached string
	var fetched time.Time
	seen := map[string]bool{}
	days := 800
	if testing.Short() {
		days = 130
	}
	for end := dawn.AddDate(0, 0, days); a.now().Before(end); {
		if a.now().Sub(fetched) >= 5*time.Minute {
			cached, fetched = a.ask(a.agents, "GET", "/oauth/jwks", "", "", nil).body, a.now()
		}
		a.work()
		cert = a.renewed(a.now().String(), cert)
		token := a.postForm("/oauth/token", wantToken(map[string][]string{"scope": {"a:b"}, "resource": {"https://api.example"}}), cert)
		if token.status != http.StatusOK {
			t.Fatalf("%s: no token: %d %s", a.now(), token.status, token.body)
		}
		if kid := kidOf(t, token.json["access_token"].(string)); !strings.Contains(cached, kid) {
			t.Errorf("%s: the JWK Set of %s does not have the key %s", a.now(), fetched, kid)
		} else {
			seen["tokens "+kid] = true
		}
		seen["issuer "+a.authority.CA.Issuer().ID] = true
		for _, r := range a.authority.Health(t.Context()) {
			if r.ID != "backup-old" {
				t.Errorf("%s: %s", a.now(), r)
			}
		}
		a.step()
	}
	n := map[string]int{}
	for id := range seen {
		n[strings.Fields(id)[0]]++
	}
	if n["issuer"] != days/60+1 || n["tokens"] < days/31 {
		t.Errorf("seen are %v", n)
	}
	for _, p := range []keys.Purpose{keys.Issuer, keys.Tokens, keys.Audit, keys.HTTPSIssuer} {
		if files := a.keyFiles(p); files > 2 {
			t.Errorf("%d %s files are left", files, p)
		}
	}
	for _, e := range a.log(0) {
		if e.Action == audit.KeyRotate || e.Action == audit.KeyAnnounce {
			if e.Actor != "system" || e.Decision != audit.Allow {
				t.Errorf("recorded is %+v", e)
			}
		}
	}
}

// hooked is a source of keys that calls a function before it makes one.
type hooked struct {
	keys.Source
	before func() error
}

func (h hooked) Generate(p keys.Purpose, a keys.Algorithm, now time.Time) (keys.Key, crypto.Signer, error) {
	if err := h.before(); err != nil {
		return keys.Key{}, nil, err
	}
	return h.Source.Generate(p, a, now)
}

// activated returns how many keys of a purpose are at work or were, and how many are announced
// or wait.
func (a *world) activated(p keys.Purpose) (at, next int) {
	a.t.Helper()
	all, err := a.keysOf(p)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, k := range all {
		if k.State == keys.StateNext {
			next++
		} else {
			at++
		}
	}
	return at, next
}

// TestTwoNodesRotateOnce, although both see that a key is due at the same time.
func TestTwoNodesRotateOnce(t *testing.T) {
	rotateTwice(t, 60, map[keys.Purpose][2]int{keys.Issuer: {1, 1}, keys.Tokens: {1, 1}, keys.Audit: {1, 0}})
	rotateTwice(t, 366, map[keys.Purpose][2]int{keys.Issuer: {2, 0}, keys.Tokens: {1, 1}, keys.Audit: {2, 0}}) // the issuer has ended
}

func rotateTwice(t *testing.T, day int, want map[keys.Purpose][2]int) {
	a := newAuthority(t)
	a.set(dawn.AddDate(0, 0, day))
	config := a.authority.Config
	other, err := authority.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	met := false
	a.authority.Keys = hooked{config.Keys, func() error {
		if met {
			return nil
		}
		met = true
		return other.RotateDue(t.Context())
	}}
	if err := a.authority.RotateDue(t.Context()); !errors.Is(err, agents.ErrTransition) {
		t.Errorf("the second node: %v", err)
	}
	if err := errors.Join(a.authority.RotateDue(t.Context()), other.RotateDue(t.Context())); err != nil {
		t.Errorf("later: %v", err)
	}
	for p, want := range want {
		if at, next := a.activated(p); at != want[0] || next != want[1] {
			t.Errorf("%s: %d, and %d announced, want %v", p, at, next, want)
		}
		if at, next := a.activated(p); a.keyFiles(p) != at+next {
			t.Errorf("%s: %d files for %d keys", p, a.keyFiles(p), at+next)
		}
	}
}

// TestFailedRotation is tried again with pauses, and is a reason with the command until it works
// or an operator rotates.
func TestFailedRotation(t *testing.T) {
	a := newAuthority(t)
	source := a.authority.Keys
	tries := 0
	a.authority.Keys = hooked{source, func() error { tries++; return errors.New("no room") }}
	a.set(dawn.AddDate(0, 0, 61))
	for range 120 {
		a.authority.RotateDue(t.Context())
		a.set(a.now().Add(time.Minute))
	}
	if tries != 2*5 { // issuer and tokens, after 0, 5, 15, 35 and 75 minutes
		t.Errorf("%d tries in two hours", tries)
	}
	told := about(t, a.authority, "key-rotation-failed")
	if len(told) != 2 || !strings.Contains(told[0], "no room") || !strings.Contains(told[0], "brevet key rotate issuer") || !strings.Contains(told[1], "brevet key rotate tokens") {
		t.Errorf("%q", told)
	}
	a.authority.Keys = source
	a.operate("POST", "/keys/issuer/rotate", nil)
	a.authority.RotateDue(t.Context())
	if told := about(t, a.authority, "key-rotation-failed"); len(told) != 1 || !strings.Contains(told[0], "tokens") {
		t.Errorf("with a new issuer: %q", told)
	}
	a.set(a.now().Add(6 * time.Hour))
	if err := a.authority.RotateDue(t.Context()); err != nil {
		t.Error(err)
	}
	if told := about(t, a.authority, "key-rotation-failed"); told != nil {
		t.Errorf("at last: %q", told)
	}
}

// TestScheduleIsOff if brevet.yaml says so.
func TestScheduleIsOff(t *testing.T) {
	a := newAuthority(t)
	for p := range a.file.Rotate {
		a.file.Rotate[p] = config.Schedule{}
	}
	a.set(dawn.AddDate(0, 0, 89))
	if err := a.authority.RotateDue(t.Context()); err != nil {
		t.Error(err)
	}
	for _, p := range []keys.Purpose{keys.Issuer, keys.Tokens, keys.Audit} {
		if at, next := a.activated(p); at != 1 || next != 0 {
			t.Errorf("%s: %d and %d", p, at, next)
		}
	}
}

// TestLastIssuersOfARoot are not rotated again and again as its end comes near.
func TestLastIssuersOfARoot(t *testing.T) {
	a := newAuthority(t, func(c *InitConfig) { c.RootLifetime = 100 * 24 * time.Hour })
	for ; a.now().Before(dawn.AddDate(0, 0, 100)); a.set(a.now().Add(time.Hour)) {
		if err := a.authority.RotateDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.authority.PromoteDue(t.Context())
	}
	if at, _ := a.activated(keys.Issuer); at != 2 {
		t.Errorf("%d issuers", at)
	}
}

// TestScheduleKeepsTheWayBack: in a store of version 0.1 where nobody acted, the server's own
// rotations write nothing that the old program could not read, and later ones have details.
func TestScheduleKeepsTheWayBack(t *testing.T) {
	a := newAuthority(t)
	a.update(func(tx storage.Tx) error {
		return errors.Join(tx.Delete("format", "needs"), tx.Delete("keys", format.Notice))
	})
	before := a.authority.Events()
	rotate := func(day int) (seen []audit.Event) {
		a.set(dawn.AddDate(0, 0, day))
		if err := a.authority.RotateDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range a.log(before) {
			if e.Action == audit.KeyRotate || e.Action == audit.KeyAnnounce {
				seen = append(seen, e)
			}
		}
		before = a.authority.Events()
		return seen
	}
	seen := rotate(60)
	if len(seen) != 2 {
		t.Fatalf("recorded is %+v", seen)
	}
	for _, e := range seen {
		if e.Details != nil {
			t.Errorf("%s has details: %+v", e.Action, e.Details)
		}
	}
	a.update(func(tx storage.Tx) error {
		if raised, err := format.Reached(tx, format.Details); err != nil || raised {
			t.Errorf("the store needs a newer program: %t %v", raised, err)
		}
		return format.Need(tx, format.Details)
	})
	a.set(dawn.AddDate(0, 0, 62))
	if err := a.authority.PromoteDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	before = a.authority.Events()
	seen = rotate(122)
	if len(seen) != 2 {
		t.Errorf("later: %+v", seen)
	}
	for _, e := range seen {
		if e.Details == nil || e.Details.From == "" || e.Details.To == "" {
			t.Errorf("later: %+v", e)
		}
	}
}
