package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

var wantToken = url.Values{"grant_type": {"client_credentials"}}

// TestQuotas: an agent gets as much as its quota allows and is then told to wait, in the
// form of the protocol. Others go on, and an operator can give it more.
func TestQuotas(t *testing.T) {
	w := servertest.New(t)
	w.Configure("limits: {certificates: 4, tokens: 3}\n")
	greedy := w.Enroll("greedy", agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	modest := w.Enroll("modest", agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	for range 3 { // and the one of its enrollment
		servertest.Want(t, "a certificate", greedy.Renew(), http.StatusOK, "")
		servertest.Want(t, "a token", greedy.Token(wantToken), http.StatusOK, "")
	}
	got := greedy.Renew()
	servertest.Want(t, "one certificate more", got, http.StatusTooManyRequests, "4 of 4 certificates")
	if got.Header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
	}
	got = greedy.Token(wantToken)
	servertest.Want(t, "one token more", got, http.StatusTooManyRequests, `"error":"temporarily_unavailable"`)
	if got.Header.Get("Retry-After") != "60" || !strings.Contains(got.Body, "3 of 3 tokens") {
		t.Errorf("the OAuth error: %v %s", got.Header, got.Body)
	}
	servertest.Want(t, "another agent's", modest.Token(wantToken), http.StatusOK, "")

	st, err := w.Admin.Status(t.Context())
	if err != nil || !strings.Contains(strings.Join(st.Warnings, "\n"), "agent greedy has 3 of 3 tokens") || strings.Contains(strings.Join(st.Warnings, "\n"), "modest") {
		t.Errorf("the warnings are %q, %v", st.Warnings, err)
	}
	if _, err := w.Admin.SetAgent(t.Context(), "greedy", api.Change{Quotas: map[string]int64{"tokens": 4}}); err != nil {
		t.Fatal(err)
	}
	servertest.Want(t, "with a quota of its own", greedy.Token(wantToken), http.StatusOK, "")
	servertest.Want(t, "and no more", greedy.Token(wantToken), http.StatusTooManyRequests, "4 of 4 tokens")
	if a, err := w.Admin.Agent(t.Context(), "greedy"); err != nil || a.Usage["tokens"] != (api.Usage{Used: 4, Quota: 4}) || a.Usage["certificates"].Used != 4 || a.Quotas["tokens"] != 4 {
		t.Errorf("it shows %+v, %v", a, err)
	}
	if _, err := w.Admin.SetAgent(t.Context(), "greedy", api.Change{Quotas: map[string]int64{"tokens": -1}}); err != nil {
		t.Fatal(err)
	}
	servertest.Want(t, "back to the default", greedy.Token(wantToken), http.StatusTooManyRequests, "4 of 3 tokens")

	w.Clock.Advance(6 * time.Minute) // all of them have expired
	again, err := w.Admin.Reenroll(t.Context(), "greedy")
	if err != nil {
		t.Fatal(err)
	}
	servertest.Want(t, "a certificate later", w.PostJSON(w.Client(), "/v1/enroll", enrolling(w, again.Enrollment.Token)), http.StatusOK, "")
}

// TestEventsOfAnHour: what is recorded about an agent is bounded, whatever it is. An agent at
// the quota can still end what it has.
func TestEventsOfAnHour(t *testing.T) {
	w := servertest.New(t)
	w.Configure("limits: {events: 20}\n")
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	var token string
	for range 15 {
		token = bot.Token(wantToken).JSON["access_token"].(string)
	}
	before := len(w.Events())
	for range 40 {
		bot.Token(url.Values{"grant_type": {"client_credentials"}, "scope": {"other"}})
	}
	if n := len(w.Events()) - before; n > 6 {
		t.Errorf("%d events were recorded, want the 4 that the quota leaves and a count", n)
	}
	w.Clock.Advance(15 * time.Second)
	servertest.Want(t, "a token", bot.Token(wantToken), http.StatusTooManyRequests, "20 of 20 events")
	servertest.Want(t, "ending one", w.PostForm(bot.HTTP, "/oauth/revoke", url.Values{"token": {token}}), http.StatusOK, "")
	if in, err := w.Admin.Introspect(t.Context(), token); err != nil || !strings.Contains(string(in), `"active":false`) {
		t.Errorf("after that the token is %s, %v", in, err)
	}
}
