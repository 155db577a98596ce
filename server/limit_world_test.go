package server_test

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestDenialsAreBounded: each is recorded, so an agent that asks again and again for
// what it is not given, such as a profile that nobody signs for, is told to wait. Its
// neighbours at the address go on.
func TestDenialsAreBounded(t *testing.T) {
	w := servertest.New(t)
	w.Configure("profiles: {hybrid: {algorithm: mldsa65}}\n")
	bad, good := w.Enroll("bad", agents.Change{}), w.Enroll("good", agents.Change{})
	before := len(w.Events())
	got := map[int]int{}
	for range 300 {
		_, answer := by(bad, "hybrid")
		got[answer.Status]++
	}
	if n := len(w.Events()) - before; n > 150 || got[http.StatusTooManyRequests] == 0 || got[http.StatusForbidden] == 0 {
		t.Errorf("300 requests wrote %d events; answers %v", n, got)
	}
	if answer := good.Renew(); answer.Status != http.StatusOK {
		t.Errorf("another agent at the address: %d %s", answer.Status, answer.Body)
	}
}

// TestNeighboursAreServed: strangers use up the limit of an address. Those there who
// prove to be an agent go on, in whatever way they prove it. Strangers are told to wait
// in the form of each protocol.
func TestNeighboursAreServed(t *testing.T) {
	w := servertest.New(t)
	reader := w.Enroll("reader", agents.Change{Scopes: []string{"brevet:introspect"}})
	worker := w.Enroll("worker", agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	newcomer := w.Add("newcomer", agents.Change{})
	n := 0
	ask := func(a *servertest.Agent) servertest.Answer {
		n++
		assertion, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": a.Leaf.Subject.CommonName, "sub": a.Leaf.Subject.CommonName, "aud": w.URL, "exp": w.Clock.Now().Add(time.Minute).Unix(), "jti": strconv.Itoa(n),
		}).SignedString(a.Key)
		if err != nil {
			t.Fatal(err)
		}
		return w.PostForm(w.Client(), "/oauth/token", url.Values{
			"grant_type": {"client_credentials"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		})
	}
	got := ask(reader)
	servertest.Want(t, "a bearer token", got, http.StatusOK, "access_token")
	bearer, token := got.JSON["access_token"].(string), worker.Token(url.Values{"grant_type": {"client_credentials"}}).JSON["access_token"].(string)

	strangers := func() { // again and again, because some time passes
		for range 1000 {
			if w.PostJSON(w.Client(), "/v1/enroll", map[string]any{}).Status == http.StatusTooManyRequests {
				return
			}
		}
		t.Fatal("a thousand requests of strangers were listened to")
	}
	strangers()
	// A slow machine may take so long between two requests that one is listened to.
	turnedAway := func(ask func() servertest.Answer) (last servertest.Answer) {
		for range 1000 {
			if last = ask(); last.Status == http.StatusTooManyRequests {
				break
			}
		}
		return last
	}
	limited := turnedAway(func() servertest.Answer { return w.PostJSON(w.Client(), "/v1/enroll", map[string]any{}) })
	servertest.Want(t, "a stranger enrolling", limited, http.StatusTooManyRequests, `"status":429`)
	strangers()
	limited = turnedAway(func() servertest.Answer {
		return w.PostForm(w.Client(), "/oauth/token", url.Values{"grant_type": {"client_credentials"}})
	})
	servertest.Want(t, "a stranger asking for a token", limited, http.StatusTooManyRequests, `"error":"temporarily_unavailable"`)
	if limited.Header.Get("Retry-After") == "" || limited.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the OAuth error has the headers %v", limited.Header)
	}
	strangers()
	limited = turnedAway(func() servertest.Answer {
		return w.Post(w.Client(), "/acme/new-account", "application/jose+json", "{}")
	})
	servertest.Want(t, "a stranger opening an account", limited, http.StatusTooManyRequests, "urn:ietf:params:acme:error:rateLimited")
	if limited.Header.Get("Retry-After") == "" {
		t.Error("the ACME error has no Retry-After")
	}

	strangers()
	servertest.Want(t, "by an assertion", ask(worker), http.StatusOK, "access_token")
	servertest.Want(t, "by a certificate", worker.Renew(), http.StatusOK, "certificate")
	request, err := http.NewRequest("POST", w.URL+"/oauth/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer "+bearer)
	response, err := w.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Want(t, "by a bearer token", servertest.Read(w, response), http.StatusOK, `"active":true`)
	enroll := func() servertest.Answer {
		return w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": newcomer.Enrollment.Token, "csr": worker.CSR(&x509.CertificateRequest{})})
	}
	servertest.Want(t, "by an enrollment token", enroll(), http.StatusOK, "certificate")
	strangers()
	servertest.Want(t, "by a used one", enroll(), http.StatusTooManyRequests, "wait a little")
}

// TestRefusalsBehindASuccess: RFC 7009 has the server answer 200 to what it refuses. The
// number of events is bounded all the same.
func TestRefusalsBehindASuccess(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	form := url.Values{"token": {bot.Token(url.Values{"grant_type": {"client_credentials"}}).JSON["access_token"].(string)}}
	before := len(w.Events())
	got := map[int]int{}
	for range 400 {
		got[w.PostForm(bot.HTTP, "/oauth/revoke", form).Status]++
	}
	if n := len(w.Events()) - before; n > 100 || got[http.StatusOK] < 50 || got[http.StatusTooManyRequests] == 0 {
		t.Errorf("400 revocations of one token wrote %d events; answers %v", n, got)
	}
}

// TestStrangersFillNoLog: what they are refused about an agent becomes a count.
func TestStrangersFillNoLog(t *testing.T) {
	w := servertest.New(t)
	w.Add("bot", agents.Change{})
	before := len(w.Events())
	const n = 300
	assertion := "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":"bot","sub":"bot","aud":%q,"jti":"1","exp":%d}`, w.URL, w.Clock.Now().Add(time.Minute).Unix())) + "." + strings.Repeat("A", 86)
	for range n {
		w.PostForm(w.Client(), "/oauth/token", url.Values{
			"grant_type": {"client_credentials"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		})
	}
	events := w.Events()[before:]
	if len(events) != 1 || events[0].Subject != "bot" || events[0].Details.Counts == nil || events[0].Details.Counts.Refusals != n {
		t.Errorf("%d refusals wrote %+v", n, events)
	}
}
