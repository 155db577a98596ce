package server_test

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// issuerOf returns the iss of the token in an answer.
func issuerOf(t *testing.T, got servertest.Answer) string {
	t.Helper()
	text, _ := got.JSON["access_token"].(string)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %d %s", got.Status, got.Body)
	}
	payload, err := strict.Base64(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c.Issuer
}

// at has w be asked at another of its URLs while f runs.
func at(w *servertest.World, url string, f func()) {
	before := w.URL
	w.URL = url
	defer func() { w.URL = before }()
	f()
}

// document returns a JSON document of the authority.
func document(t *testing.T, w *servertest.World, path string) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(w.Get(w.Client(), path)), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func crlOf(c *x509.Certificate) string { return strings.Join(c.CRLDistributionPoints, " ") }

// TestAuthorityMoves follows a move to another URL, through its date, a restart and the end
// of the old URL.
func TestAuthorityMoves(t *testing.T) {
	w := servertest.New(t)
	before, moved := w.URL, strings.Replace(w.URL, "127.0.0.1", "localhost", 1)
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"read", "brevet:introspect"}, Audiences: []string{"https://api.example"}})
	form := map[string][]string{"scope": {"read"}}
	q := api.ReaddressRequest{URL: moved, Until: w.Clock.Now().Add(3 * time.Hour).Truncate(time.Second)}

	plan, err := w.Admin.PlanReaddress(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if plan.From != before || plan.Issuer != before || plan.Certificates != 1 || len(plan.Agents) != 1 || plan.Agents[0].Name != "bot" || len(plan.CAs) != 1 || plan.CAs[0].Purpose != "issuer" {
		t.Errorf("the plan is %+v", plan)
	}
	if st, err := w.Admin.Status(t.Context()); err != nil || st.Advertise != before || len(st.Former) > 0 {
		t.Errorf("a dry run changed %+v, %v", st, err)
	}
	if got := bot.Renew(); got.JSON["server"] != nil {
		t.Errorf("before the move, a renewal answers %v", got.JSON["server"])
	} else {
		bot.Use(got)
	}
	w.Clock.Advance(2 * time.Second)
	done, err := w.Admin.Readdress(t.Context(), q)
	if err != nil || done.To != moved || done.NeededUntil.Before(q.Until) {
		t.Fatalf("got %+v, %v", done, err)
	}

	// Only what was issued at the old URL counts when the date changes, and only what was issued
	// at the current one when the authority moves on.
	w.Clock.Advance(2 * time.Minute)
	w.Enroll("newcomer", agents.Change{})
	for url, want := range map[string]int{moved: 2, "https://third.example": 1} {
		plan, err := w.Admin.PlanReaddress(t.Context(), api.ReaddressRequest{URL: url, Until: q.Until.Add(time.Hour)})
		if err != nil || plan.Certificates != want || plan.Moved.IsZero() != (url != moved) || plan.Advertise != before {
			t.Errorf("the plan for %s is %+v, %v; want %d certificates", url, plan, err, want)
		}
	}

	check := func(when, issuer string) {
		t.Helper()
		for _, url := range []string{before, moved} {
			at(w, url, func() {
				if got := issuerOf(t, bot.Token(form)); got != issuer {
					t.Errorf("%s, a token from %s is issued by %s, want %s", when, url, got, issuer)
				}
				if doc := document(t, w, "/.well-known/oauth-authorization-server"); doc["issuer"] != url || doc["jwks_uri"] != url+"/oauth/jwks" {
					t.Errorf("%s, metadata at %s: %v", when, url, doc)
				}
				if doc := document(t, w, "/acme/directory"); doc["newOrder"] != url+"/acme/new-order" {
					t.Errorf("%s, the directory at %s: %v", when, url, doc)
				}
				own := bot.Token(map[string][]string{"scope": {"brevet:introspect"}, "resource": {url}})
				if own.Status != http.StatusOK {
					t.Errorf("%s, a token for %s: %d %s", when, url, own.Status, own.Body)
				}
			})
		}
	}
	check("before the date", before)
	got := bot.Renew()
	if got.JSON["server"] != moved {
		t.Errorf("a renewal at the old URL answers %v", got.JSON["server"])
	}
	bot.Use(got)
	if !strings.HasPrefix(crlOf(bot.Leaf), "http://localhost:") {
		t.Errorf("the new certificate names %s", crlOf(bot.Leaf))
	}
	at(w, moved, func() {
		if got := bot.Renew(); got.JSON["server"] != nil {
			t.Errorf("a renewal at the new URL answers %v", got.JSON["server"])
		} else {
			bot.Use(got)
		}
	})
	st, err := w.Admin.Status(t.Context())
	if err != nil || st.Advertise != moved || len(st.Former) != 1 || st.Former[0].URL != before || !st.Former[0].IssuesUntil.Equal(q.Until) || !strings.HasPrefix(st.Former[0].Published, "http://127.0.0.1:") {
		t.Errorf("status %+v, %v", st.Former, err)
	}
	if ids := reasonIDs(st); !slices.Contains(ids, "advertise-differs") || !slices.Contains(ids, "token-issuer-changes") {
		t.Errorf("reasons %v", ids)
	}

	w.Stop()
	w.Start()
	check("after a restart", before)
	text, err := os.ReadFile(w.File("brevet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.File("brevet.yaml"), []byte(strings.Replace(string(text), "advertise: "+before, "advertise: "+moved, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := w.Admin.Reload(t.Context()); err != nil || !slices.Equal(r.Changed, []string{"advertise"}) {
		t.Errorf("reload: %v, %v", r, err)
	}
	if st, err := w.Admin.Status(t.Context()); err != nil || slices.Contains(reasonIDs(st), "advertise-differs") {
		t.Errorf("after the reload: %v, %v", reasonIDs(st), err)
	}
	check("after the reload", before)

	step(w, q.Until.Sub(w.Clock.Now())+time.Second, func() { bot.Use(bot.Renew()) })
	check("after the date", moved)
	step(w, done.NeededUntil.Sub(w.Clock.Now())+time.Second, func() { bot.Use(bot.Renew()) })
	w.Stop()
	w.Start()
	if st, err := w.Admin.Status(t.Context()); err != nil || len(st.Former) > 0 {
		t.Errorf("at the end: %+v, %v", st.Former, err)
	}
	if doc := document(t, w, "/.well-known/oauth-authorization-server"); doc["issuer"] != moved {
		t.Errorf("metadata at the old URL: %v", doc["issuer"])
	}
	if got := bot.Token(map[string][]string{"scope": {"brevet:introspect"}, "resource": {before}}); got.Status == http.StatusOK {
		t.Error("there is still a token for the old URL")
	}
}

// step moves the clock by small steps, as time passes, and calls work after each.
func step(w *servertest.World, d time.Duration, work func()) {
	for ; d > 0; d -= 4 * time.Minute {
		w.Clock.Advance(min(d, 4*time.Minute))
		work()
	}
}

func reasonIDs(st api.Status) (ids []string) {
	for _, r := range st.Reasons {
		ids = append(ids, r.ID)
	}
	return ids
}

// TestMoveWaitsForOperators: their certificates live for longer than those of agents, and
// one may be issued while the authority moves.
func TestMoveWaitsForOperators(t *testing.T) {
	w := servertest.New(t)
	if _, err := w.Admin.AddOperator(t.Context(), "alice", "viewer"); err != nil {
		t.Fatal(err)
	}
	now := w.Clock.Now()
	q := api.ReaddressRequest{URL: strings.Replace(w.URL, "127.0.0.1", "localhost", 1), Until: now.Add(time.Hour)}
	if plan, err := w.Admin.PlanReaddress(t.Context(), q); err != nil || plan.CertificatesUntil.Before(now.Add(12*time.Hour)) {
		t.Errorf("names of certificates end at %s, and it is %s now; %v", plan.CertificatesUntil, now, err)
	}
}

// TestOldURLOutlivesALongerWindow, whether an operator or brevet.yaml lengthens it after the
// move: an agent that was away must find the authority where it knows it.
func TestOldURLOutlivesALongerWindow(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{})
	before, day := w.URL, 24*time.Hour
	done, err := w.Admin.Readdress(t.Context(), api.ReaddressRequest{URL: strings.Replace(w.URL, "127.0.0.1", "localhost", 1), Until: w.Clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	last := done.NeededUntil.Add(-agents.DefaultRenewGrace)
	needed := func(when string, window time.Duration) {
		t.Helper()
		if st, err := w.Admin.Status(t.Context()); err != nil || len(st.Former) != 1 || !st.Former[0].NeededUntil.Equal(last.Add(window)) {
			t.Errorf("%s: %+v, %v; want the old URL until %s", when, st.Former, err, last.Add(window))
		}
	}
	restart := func() { w.Stop(); w.Start() }
	for window, want := range map[time.Duration]time.Duration{time.Hour: day, 3 * day: 3 * day} {
		if _, err := w.Admin.SetAgent(t.Context(), "bot", api.Change{RenewGrace: &window}); err != nil {
			t.Fatal(err)
		}
		if window > time.Hour {
			restart() // a running server follows within 10 seconds
			needed("by agent set", want)
		}
	}
	rewrite(t, w)("renew_grace: 7d\n")
	restart()
	needed("by brevet.yaml", 7*day)
	if _, err := w.Admin.SetAgent(t.Context(), "bot", api.Change{RenewGrace: new(-time.Second)}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(bot.Leaf.NotAfter.Add(7*day).Sub(w.Clock.Now()) - time.Minute)
	restart()
	at(w, before, func() {
		if got := bot.Renew(); got.JSON["server"] != done.To {
			t.Errorf("a minute before the agent's window ends, the old URL answers %d %s", got.Status, got.Body)
		}
	})
}

// TestMoveToWhereItIs changes nothing.
func TestMoveToWhereItIs(t *testing.T) {
	w := servertest.New(t)
	until := w.Clock.Now().Add(time.Hour)
	before := len(w.Events())
	if r, err := w.Admin.Readdress(t.Context(), api.ReaddressRequest{URL: w.URL, Until: until}); err != nil || r.Note == "" {
		t.Errorf("got %+v, %v", r, err)
	}
	q := api.ReaddressRequest{URL: "https://pki.example", Until: until}
	for i, want := range []bool{false, true} {
		if r, err := w.Admin.Readdress(t.Context(), q); err != nil || (r.Note != "") != want {
			t.Errorf("%d: got %+v, %v", i, r, err)
		}
	}
	moved := 0
	for _, e := range w.Events()[before:] {
		if e.Action == "authority.readdress" {
			moved++
		}
	}
	if moved != 1 {
		t.Errorf("%d moves are on record, want 1", moved)
	}
}

// TestMoveIsRefused, and changes nothing.
func TestMoveIsRefused(t *testing.T) {
	w := servertest.New(t)
	w.Enroll("bot", agents.Change{DNS: []string{"taken.example"}})
	soon := w.Clock.Now().Add(time.Hour)
	for what, q := range map[string]api.ReaddressRequest{
		"a path":              {URL: "https://pki.example/brevet", Until: soon},
		"plain HTTP":          {URL: "http://pki.example", Until: soon},
		"an agent's name":     {URL: "https://taken.example", Until: soon},
		"a name of an agent":  {URL: "https://bot.example.internal", Until: soon},
		"a date that is over": {URL: "https://pki.example", Until: w.Clock.Now().Add(-time.Hour)},
		"no date":             {URL: "https://pki.example"},
	} {
		if _, err := w.Admin.Readdress(t.Context(), q); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	if st, err := w.Admin.Status(t.Context()); err != nil || st.Advertise != w.URL || len(st.Former) > 0 {
		t.Errorf("got %+v, %v", st, err)
	}
}

// TestServerHasBothNames while both URLs are in use, also for addresses that it is moved to
// one after the other.
func TestServerHasBothNames(t *testing.T) {
	w := servertest.New(t)
	for _, url := range []string{"https://pki.example", "https://ca.example:8443"} {
		if _, err := w.Admin.Readdress(t.Context(), api.ReaddressRequest{URL: url, Until: w.Clock.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"127.0.0.1", "pki.example", "ca.example"} {
		if err := own(t, w).VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	with := rewrite(t, w)
	with("names: [more.example]\n")
	if _, err := w.Admin.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.0.0.1", "pki.example", "ca.example", "more.example"} {
		if err := own(t, w).VerifyHostname(name); err != nil {
			t.Error("after a reload:", err)
		}
	}
}
