package clock_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
)

// setClock sets the clock, and has the authority look at it.
func setClock(t *testing.T, w *servertest.World, by time.Duration) {
	t.Helper()
	w.Clock.Advance(by)
	w.Readyz()
}

// assertion is what an agent authenticates with by private_key_jwt, as
// parameters (RFC 7523, section 2.2).
func assertion(t *testing.T, a *servertest.Agent, id string, expires time.Time) url.Values {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": a.Name, "sub": a.Name, "aud": a.World.URL, "jti": id, "exp": expires.Unix()})
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + enc.EncodeToString(claims)
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, a.Cert.PrivateKey.(*ecdsa.PrivateKey), hash[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {text + "." + enc.EncodeToString(sig)},
	}
}

// served fails unless list and certificate that the authority serves are valid
// by the clock.
func served(t *testing.T, w *servertest.World) {
	t.Helper()
	now := w.Clock.Now()
	r, err := w.Client().Get(w.URL + "/healthz") // verifies by this clock
	if err != nil {
		t.Error("connecting: ", err)
	} else {
		r.Body.Close()
	}
	servertest.InTime(t, "fetching a list that is valid", func() error {
		if l := w.CRL(); l.ThisUpdate.After(now.Add(time.Second)) || !l.NextUpdate.After(now) {
			return fmt.Errorf("from %s to %s, and it is %s", l.ThisUpdate, l.NextUpdate, now)
		}
		return nil
	})
}

// steps returns what the audit log says of the clock.
func steps(w *servertest.World) (all []string) {
	for _, e := range w.Events() {
		if strings.HasPrefix(string(e.Action), "clock.") {
			all = append(all, string(e.Action)+": "+strings.Join(e.Reasons, ", "))
		}
	}
	return all
}

func TestClockSetBackStopsIssuing(t *testing.T) {
	w := servertest.New(t)
	w.Clock.Advance(6 * time.Hour) // else the issuer would not be valid three hours ago
	c := agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}}
	bot, other, api := w.Enroll("bot", c), w.Enroll("other", c), w.Enroll("api", agents.Change{Scopes: []string{"brevet:introspect"}})
	token, kept := bot.Token(nil).JSON["access_token"].(string), other.Token(nil).JSON["access_token"].(string)
	invited, newcomer := w.Add("newcomer", agents.Change{}), &servertest.Agent{World: w}
	request := map[string]any{"token": invited.Enrollment.Token, "csr": newcomer.CSR(nil)}
	used := assertion(t, api, "once", w.Clock.Now().Add(10*time.Minute))
	used.Set("token", token)
	servertest.Want(t, "an assertion", w.PostForm(w.Client(), "/oauth/introspect", used), http.StatusOK, `"active":true`)

	setClock(t, w, -3*time.Hour)
	served(t, w)
	servertest.Want(t, "enrolling", w.PostJSON(w.Client(), "/v1/enroll", request), http.StatusServiceUnavailable, "about:blank")
	servertest.Want(t, "renewing", bot.Renew(), http.StatusServiceUnavailable, "about:blank")
	servertest.Want(t, "a token", bot.Token(nil), http.StatusServiceUnavailable, "temporarily_unavailable")
	servertest.Want(t, "readyz", w.Readyz(), http.StatusServiceUnavailable, "critical\n")
	st, err := w.Admin.Status(t.Context())
	if err != nil || st.Healthy || len(st.Problems) != 1 || !strings.Contains(st.Problems[0], "--accept-clock") {
		t.Errorf("status: %+v %v", st, err)
	}
	servertest.Want(t, "introspection", api.Introspect(kept), http.StatusOK, `"active":true`)
	servertest.Want(t, "an assertion again", w.PostForm(w.Client(), "/oauth/introspect", used), http.StatusUnauthorized, "invalid_client")

	// Credentials issued later than it seems to be now die all the same.
	receipt, err := w.Admin.Suspend(t.Context(), "bot", "keyCompromise")
	if err != nil || receipt.Certificates != 1 || receipt.Tokens != 1 {
		t.Errorf("suspend: %+v %v", receipt, err)
	}
	dead := func(when string, refusal int) {
		t.Helper()
		list := w.CRL()
		if !servertest.Lists(list, bot.Leaf) {
			t.Errorf("%s: CRL %v does not list the certificate", when, list.Number)
		}
		for _, e := range list.RevokedCertificateEntries {
			if e.RevocationTime.After(list.ThisUpdate) {
				t.Errorf("%s: revoked at %s by a list of %s", when, e.RevocationTime, list.ThisUpdate)
			}
		}
		servertest.Want(t, when+": introspection", api.Introspect(token), http.StatusOK, `"active":false`)
		servertest.Want(t, when+": renewal", bot.Renew(), refusal, "")
	}
	if err := second(w.Admin.Resume(t.Context(), "bot")); err != nil {
		t.Error(err)
	}
	dead("while the clock is back", http.StatusServiceUnavailable)

	w.Stop()
	servertest.ChangeStore(t, w.Dir, func(tx storage.Tx) error { // it is noted even if no event tells
		noted, err := storage.Table[time.Time]("clock").Get(tx, "latest")
		if ahead := noted.Sub(w.Clock.Now()); err != nil || ahead < 3*time.Hour-time.Minute {
			t.Errorf("the latest time is noted as %s: %v", noted, err)
		}
		return nil
	})
	w.Start()
	servertest.Want(t, "readyz after a restart", w.Readyz(), http.StatusServiceUnavailable, "critical\n")
	dead("after a restart", http.StatusServiceUnavailable)

	setClock(t, w, 3*time.Hour)
	served(t, w)
	servertest.Want(t, "readyz when it is right", w.Readyz(), http.StatusOK, "")
	dead("when the clock is right", http.StatusUnauthorized)
	servertest.Want(t, "enrolling", w.PostJSON(w.Client(), "/v1/enroll", request), http.StatusOK, "")
	servertest.Want(t, "renewing", other.Renew(), http.StatusOK, "")
	again, err := w.Admin.Reenroll(t.Context(), "bot")
	if err != nil {
		t.Fatal(err)
	}
	servertest.Want(t, "enrolling anew", w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": again.Enrollment.Token, "csr": bot.CSR(nil)}), http.StatusOK, "")
	servertest.InTime(t, "the log", func() error {
		if got := steps(w); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "clock.step: the clock stepped back by 3h") }) {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	if !strings.Contains(w.Log.String(), "the clock stepped back by 3h") {
		t.Error("the log on standard error has no warning")
	}
	inOrder(t, w)
	w.WantSound()
}

// inOrder fails unless the times in the log rise, apart from small steps.
func inOrder(t *testing.T, w *servertest.World) {
	t.Helper()
	var last time.Time
	for _, e := range w.Events() {
		if e.Time.Before(last.Add(-agents.ClockTolerance)) {
			t.Errorf("entry %d, %s, is of %s, after one of %s", e.Seq, e.Action, e.Time, last)
		}
		last = e.Time
	}
}

// TestSmallStepBack is of a minute, as NTP makes them: what is issued goes by
// the new time, and what was issued before dies when it is told to.
func TestSmallStepBack(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{})
	setClock(t, w, -time.Minute)
	renewed := bot.Renew()
	servertest.Want(t, "renewing", renewed, http.StatusOK, "")
	old := *bot
	bot.Use(renewed)
	if now := w.Clock.Now(); bot.Leaf.NotBefore.After(now) || bot.Leaf.NotAfter.After(now.Add(5*time.Minute+time.Second)) {
		t.Errorf("issued at %s: from %s to %s", now, bot.Leaf.NotBefore, bot.Leaf.NotAfter)
	}
	if receipt, err := w.Admin.Suspend(t.Context(), "bot", ""); err != nil || receipt.Certificates != 2 {
		t.Errorf("suspend: %+v %v", receipt, err)
	}
	if err := second(w.Admin.Resume(t.Context(), "bot")); err != nil {
		t.Error(err)
	}
	list := w.CRL()
	for what, a := range map[string]*servertest.Agent{"before": &old, "after": bot} {
		if !servertest.Lists(list, a.Leaf) {
			t.Errorf("the CRL does not list the certificate issued %s the step", what)
		}
		servertest.Want(t, "renewal with the one from "+what, a.Renew(), http.StatusUnauthorized, "")
	}
	if got := steps(w); len(got) > 0 {
		t.Errorf("a small step is in the log: %q", got)
	}
}
