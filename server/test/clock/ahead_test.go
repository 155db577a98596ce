package clock_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// lifetimes fails if a certificate or a token lives for longer than minutes.
func lifetimes(t *testing.T, a *servertest.Agent, token string) {
	t.Helper()
	if d := a.Leaf.NotAfter.Sub(a.Leaf.NotBefore); d > 6*time.Minute {
		t.Errorf("the certificate lives for %s", d)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Iat, Exp int64 }
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Exp-claims.Iat > 300 {
		t.Errorf("the token: %s %v", payload, err)
	}
}

func TestClockSetAheadAndBack(t *testing.T) {
	w := servertest.New(t)
	c := agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}}
	bot, early := w.Enroll("bot", c), w.Enroll("early", agents.Change{RenewGrace: new(time.Duration(0))})
	if err := second(w.Admin.RevokeCertificate(t.Context(), bot.Serial(), "")); err != nil {
		t.Fatal(err)
	}

	setClock(t, w, 6*time.Hour)
	served(t, w)
	servertest.Want(t, "renewing with what has expired by this clock", early.Renew(), http.StatusUnauthorized, "")
	servertest.Want(t, "renewing the revoked one when it has expired by this clock", bot.Renew(), http.StatusUnauthorized, "")
	glitch, resource := w.Enroll("glitch", c), w.Enroll("api", agents.Change{Scopes: []string{"brevet:introspect"}})
	token := glitch.Token(nil).JSON["access_token"].(string)
	lifetimes(t, glitch, token)
	invited := w.Add("newcomer", agents.Change{})
	servertest.InTime(t, "the log", func() error {
		if got := steps(w); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "clock.step: the clock stepped ahead by 6h") }) {
			return servertest.Answer{Body: strings.Join(got, "\n")}.Is(1)
		}
		return nil
	})
	if !strings.Contains(w.Log.String(), "the clock stepped ahead by 6h") {
		t.Error("the log on standard error has no warning")
	}
	// It may be wrong: then the revoked certificate is alive elsewhere.
	for range 3 {
		if err := second(w.Admin.PublishCRL(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if !servertest.Lists(w.CRL(), bot.Leaf) {
		t.Error("a list forgets a revocation because the clock is ahead")
	}

	w.Clock.Advance(-6 * time.Hour)
	servertest.Want(t, "readyz", w.Readyz(), http.StatusServiceUnavailable, "critical\n")
	w.Stop()
	w.Start()
	servertest.Want(t, "readyz after a restart", w.Readyz(), http.StatusServiceUnavailable, "critical\n")
	served(t, w)
	// Whether a proof is too old cannot be said now, and to say so would be final.
	used, unused := w.PostJSON(w.Client(), "/v1/certificates", map[string]any{"csr": early.CSR(nil), "client_assertion": "x"}), w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": invited.Enrollment.Token, "csr": early.CSR(nil)})
	for what, a := range map[string]servertest.Answer{"renewing": early.Renew(), "by an assertion": used, "enrolling": unused, "a new key": w.PostJSON(w.Client(), "/v1/keys", map[string]any{"client_assertion": "x", "csr": early.CSR(nil)})} {
		servertest.Want(t, what+" while the clock is back", a, http.StatusServiceUnavailable, "about:blank")
	}
	servertest.Want(t, "a token while the clock is back", early.Token(nil), http.StatusServiceUnavailable, "temporarily_unavailable")
	if !servertest.Lists(w.CRL(), bot.Leaf) {
		t.Error("a list forgets a revocation because the clock was ahead")
	}
	w.Stop()
	w.Start(func(c *server.Config) { c.AcceptClock = true })
	servertest.Want(t, "readyz when the clock is accepted", w.Readyz(), http.StatusOK, "")
	w.Stop()
	w.Start()
	servertest.Want(t, "readyz after that", w.Readyz(), http.StatusOK, "")
	if got := steps(w); len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "clock.accept") {
		t.Errorf("the log says of the clock: %q", got)
	}
	servertest.Want(t, "renewing", early.Renew(), http.StatusOK, "")
	servertest.Want(t, "renewing the revoked one", bot.Renew(), http.StatusUnauthorized, "")
	// Credentials made by the wrong clock would live for hours.
	servertest.Want(t, "renewing the one from the future", glitch.Renew(), http.StatusUnauthorized, "")
	servertest.Want(t, "asking with one from the future", resource.Introspect(token), http.StatusUnauthorized, "invalid_client")
	if in, err := w.Admin.Introspect(t.Context(), token); err != nil || string(in) != `{"active":false}` {
		t.Errorf("introspection of a token from the future: %s %v", in, err)
	}
	newcomer := &servertest.Agent{World: w}
	servertest.Want(t, "enrolling by a token from the future", w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": invited.Enrollment.Token, "csr": newcomer.CSR(nil)}), http.StatusUnauthorized, "")
	w.Enroll("fresh", agents.Change{})
	w.WantSound()
}

// TestClockFarAhead is beyond the end of the issuer, and of what can be said in
// a credential.
func TestClockFarAhead(t *testing.T) {
	for _, years := range []int{2, 70} {
		w := servertest.New(t)
		bot := w.Enroll("bot", agents.Change{TTL: new(time.Hour)})
		servertest.Want(t, "renewing", bot.Renew(), http.StatusOK, "") // and stay connected: no new connection would do
		by := time.Duration(years) * 365 * 24 * time.Hour
		setClock(t, w, by)
		servertest.Want(t, "renewing later", bot.Renew(), http.StatusUnauthorized, "")
		if _, err := w.Admin.IssueCertificate(t.Context(), "bot", api.IssueRequest{CSR: bot.CSR(nil)}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("issuing %d years ahead: %v", years, err)
		}
		if err := second(w.Admin.Suspend(t.Context(), "bot", "")); err != nil {
			t.Error(err)
		}
		servertest.Want(t, "readyz", w.Readyz(), http.StatusServiceUnavailable, "critical\n")
		setClock(t, w, -by)
		served(t, w)
		if !servertest.Lists(w.CRL(), bot.Leaf) {
			t.Error("the CRL does not list the certificate")
		}
	}
}
