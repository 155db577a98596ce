package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// refusedAs checks a problem document (RFC 9457).
func refusedAs(t *testing.T, what string, got servertest.Answer, status int, because string) {
	t.Helper()
	detail, _ := got.JSON["detail"].(string)
	if got.Status != status || !strings.Contains(detail, because) || got.JSON["status"] != float64(status) || got.JSON["title"] != http.StatusText(status) || got.JSON["type"] != "about:blank" {
		t.Errorf("%s: got %d %s, want %d that says %q", what, got.Status, got.Body, status, because)
	}
	if got.Header.Get("Content-Type") != "application/problem+json" || got.Header.Get("Cache-Control") != "no-store" || len(got.Header.Get("X-Request-Id")) != 16 {
		t.Errorf("%s: answered with %v", what, got.Header)
	}
	if len(detail) > 500 {
		t.Errorf("%s: a detail of %d octets", what, len(detail))
	}
}

// denied returns the refusals on record of an action.
func denied(w *servertest.World, action string) (all []api.Event) {
	for _, e := range w.Events() {
		if e.Decision == "deny" && string(e.Action) == action {
			all = append(all, e)
		}
	}
	return all
}

// lastDenied checks the last refusal on record.
func lastDenied(t *testing.T, w *servertest.World, what, action, subject, because string) {
	t.Helper()
	all := denied(w, action)
	if len(all) == 0 {
		t.Errorf("%s: nothing is on record", what)
		return
	}
	e := all[len(all)-1]
	if e.Subject != subject || len(e.Reasons) != 1 || !strings.Contains(e.Reasons[0], because) || len(e.Request) != 16 || e.Credential != "" {
		t.Errorf("%s: recorded is %+v, want %q about %s", what, e, because, subject)
	}
	if e.Details == nil || e.Details.Peer != "127.0.0.1" || len(e.Details.Codes) != 1 {
		t.Errorf("%s: recorded with the details %+v, want an address and a code", what, e.Details)
	}
}

func certificates(t *testing.T, w *servertest.World, agent string) int {
	t.Helper()
	all, err := w.Admin.Certificates(t.Context(), agent, "")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// enrolling is the body of a request to enroll with a fresh key.
func enrolling(w *servertest.World, token string) map[string]any {
	a := &servertest.Agent{World: w}
	return map[string]any{"token": token, "csr": a.CSR(nil)}
}

// TestEnrollmentTokenWorksOnce, however many use it at once.
func TestEnrollmentTokenWorksOnce(t *testing.T) {
	w := servertest.New(t)
	token := w.Add("bot", agents.Change{}).Enrollment.Token
	var enrolled, refused atomic.Int32
	var wait sync.WaitGroup
	for range 50 {
		body := enrolling(w, token)
		client := w.Client()
		wait.Go(func() {
			switch w.PostJSON(client, "/v1/enroll", body).Status {
			case http.StatusOK:
				enrolled.Add(1)
			case http.StatusUnauthorized:
				refused.Add(1)
			}
		})
	}
	wait.Wait()
	if enrolled.Load() != 1 || refused.Load() != 49 || certificates(t, w, "bot") != 1 {
		t.Errorf("%d enrolled, %d were refused, %d certificates are on record", enrolled.Load(), refused.Load(), certificates(t, w, "bot"))
	}
	n := 0
	for _, e := range denied(w, "certificate.issue") {
		if n++; e.Details.Counts != nil {
			n += int(e.Details.Counts.Refusals) - 1
		}
	}
	if n != 49 {
		t.Errorf("%d refusals are on record", n)
	}
}

// TestEnrollmentTokensThatCannotBeUsed get one answer, to the octet. Those that
// were given out are recorded: somebody has a copy.
func TestEnrollmentTokensThatCannotBeUsed(t *testing.T) {
	w := servertest.New(t)
	add := func(name string, c agents.Change) string {
		t.Helper()
		return w.Add(name, c).Enrollment.Token
	}
	tokens := map[string]string{}
	tokens["used"] = add("used", agents.Change{})
	if got := w.PostJSON(w.Client(), "/v1/enroll", enrolling(w, tokens["used"])); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	tokens["replaced"] = add("replaced", agents.Change{})
	fresh, err := w.Admin.Reenroll(t.Context(), "replaced")
	if err != nil {
		t.Fatal(err)
	}
	tokens["suspended"], tokens["gone"], tokens["resumed"] = add("suspended", agents.Change{}), add("gone", agents.Change{}), add("resumed", agents.Change{})
	for _, name := range []string{"suspended", "resumed"} {
		if _, err := w.Admin.Suspend(t.Context(), name, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Admin.Resume(t.Context(), "resumed"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.Decommission(t.Context(), "gone", ""); err != nil {
		t.Fatal(err)
	}
	end := w.Clock.Now().Add(2 * time.Second)
	tokens["over"] = add("over", agents.Change{Expires: &end})
	w.Clock.Advance(2 * time.Second)

	unknown := w.PostJSON(w.Client(), "/v1/enroll", enrolling(w, agents.EnrollmentPrefix+strings.Repeat("A", 48)))
	refusedAs(t, "never given out", unknown, http.StatusUnauthorized, "unknown, used, replaced or expired")
	before := len(denied(w, "certificate.issue"))
	if before != 0 {
		t.Errorf("a guess is on record")
	}
	because := map[string]string{"used": "used or replaced", "replaced": "used or replaced", "suspended": "used or replaced", "gone": "used or replaced", "resumed": "used or replaced", "over": "expired at"}
	try := func(name string) {
		t.Helper()
		got := w.PostJSON(w.Client(), "/v1/enroll", enrolling(w, tokens[name]))
		if got.Status != unknown.Status || got.Body != unknown.Body {
			t.Errorf("%s: got %d %s, want the same as for a guess", name, got.Status, got.Body)
		}
		lastDenied(t, w, name, "certificate.issue", strings.TrimSuffix(name, ", late"), because[name])
	}
	for name := range because {
		try(name)
	}
	if got := w.PostJSON(w.Client(), "/v1/enroll", enrolling(w, fresh.Enrollment.Token)); got.Status != http.StatusOK {
		t.Errorf("the token in place of the replaced one: %d %s", got.Status, got.Body)
	}
	tokens["late"], because["late"] = add("late", agents.Change{}), "expired at"
	w.Clock.Advance(time.Hour)
	try("late")
	for _, junk := range []string{"", "junk", agents.EnrollmentPrefix, agents.EnrollmentPrefix + strings.Repeat("\n", 48), tokens["late"] + "x"} {
		got := w.PostJSON(w.Client(), "/v1/enroll", enrolling(w, junk))
		if got.Status != unknown.Status || got.Body != unknown.Body {
			t.Errorf("%q: got %d %s", junk, got.Status, got.Body)
		}
	}
}

// TestBadRequestLeavesTheEnrollmentToken: it can be used after each of them.
func TestBadRequestLeavesTheEnrollmentToken(t *testing.T) {
	w := servertest.New(t)
	token := w.Add("bot", agents.Change{}).Enrollment.Token
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := servertest.CSR(w, &x509.CertificateRequest{}, key)
	for _, c := range []struct {
		what, csr string
		status    int
		because   string
	}{
		{"nothing", "", http.StatusBadRequest, "PEM block"},
		{"junk", "junk", http.StatusBadRequest, "it is not PEM"},
		{"cut off", good[:len(good)/2], http.StatusBadRequest, "PEM block"},
		{"a weak key", servertest.CSR(w, &x509.CertificateRequest{}, p224), http.StatusBadRequest, "want the curve"},
		{"another agent's name", servertest.CSR(w, &x509.CertificateRequest{DNSNames: []string{"other.example.internal"}}, key), http.StatusForbidden, "other.example.internal"},
		{"a name of nobody's", servertest.CSR(w, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "root"}}, key), http.StatusForbidden, "common name"},
	} {
		got := w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": token, "csr": c.csr})
		refusedAs(t, c.what, got, c.status, c.because)
		lastDenied(t, w, c.what, "certificate.issue", "bot", c.because)
	}
	for _, body := range []string{"{}", `{"token":"` + token + `","csr":"x","csr":"y"}`, `{"token":"` + token + `","extra":1}`, "junk"} {
		if got := w.Post(w.Client(), "/v1/enroll", "application/json", body); got.Status != http.StatusBadRequest && got.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", body, got.Status, got.Body)
		}
	}
	if n := certificates(t, w, "bot"); n != 0 {
		t.Errorf("%d certificates were issued", n)
	}
	got := w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": token, "csr": good})
	if got.Status != http.StatusOK {
		t.Fatalf("the good request after all: %d %s", got.Status, got.Body)
	}
	var all []api.Event
	for _, e := range w.Events() {
		if e.Action == "certificate.issue" && e.Subject == "bot" && e.Decision == "allow" {
			all = append(all, e)
		}
	}
	if len(all) != 1 || all[0].Actor != "enrollment token" || len(all[0].Credential) != 40 {
		t.Errorf("recorded are %+v", all)
	}
}

// TestRenewalNeedsACurrentCertificate: without one the authority issues
// nothing, and says why only as far as it is no secret.
func TestRenewalNeedsACurrentCertificate(t *testing.T) {
	w := servertest.New(t)
	enroll := func(name string) *servertest.Agent { return w.Enroll(name, agents.Change{}) }
	revoked, suspended, gone := enroll("revoked"), enroll("suspended"), enroll("gone")
	expired := w.Enroll("expired", agents.Change{RenewGrace: new(time.Duration(0))})
	if _, err := w.Admin.RevokeCertificate(t.Context(), revoked.Leaf.SerialNumber.Text(16), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.Suspend(t.Context(), "suspended", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.Decommission(t.Context(), "gone", ""); err != nil {
		t.Fatal(err)
	}
	elsewhere := servertest.New(t).Enroll("bot", agents.Change{})
	renew := func(c *http.Client) servertest.Answer {
		a := &servertest.Agent{World: w}
		return w.PostJSON(c, "/v1/certificates", map[string]any{"csr": a.CSR(nil)})
	}
	refusedAs(t, "none", renew(w.Client()), http.StatusUnauthorized, "present a current client certificate")
	const unusable = "the client certificate cannot be used"
	refusedAs(t, "another authority's", renew(w.Client(elsewhere.Cert)), http.StatusUnauthorized, unusable)
	if n := len(denied(w, "certificate.issue")); n != 0 {
		t.Errorf("%d refusals are on record, of which none concerns an agent", n)
	}
	refusedAs(t, "a self-signed one", renew(w.Client(selfSigned(t))), http.StatusUnauthorized, unusable)
	for name, because := range map[string]string{"revoked": "revoked since", "suspended": "revoked since", "gone": "revoked since"} {
		a := map[string]*servertest.Agent{"revoked": revoked, "suspended": suspended, "gone": gone}[name]
		refusedAs(t, name, renew(a.HTTP), http.StatusUnauthorized, unusable)
		lastDenied(t, w, name, "certificate.issue", name, because)
	}
	// Five minutes later: the certificate has expired.
	w.Clock.Advance(5 * time.Minute)
	refusedAs(t, "expired", renew(expired.HTTP), http.StatusUnauthorized, unusable)
	lastDenied(t, w, "expired", "certificate.issue", "expired", "too late to renew")
	if n := certificates(t, w, "expired"); n != 1 {
		t.Errorf("%d certificates", n)
	}
	// The agent's good certificate still does not give it what is not its.
	bot := enroll("bot")
	for what, c := range map[string]struct {
		doc     map[string]any
		status  int
		because string
	}{
		"another's name":       {map[string]any{"csr": bot.CSR(&x509.CertificateRequest{DNSNames: []string{"suspended.example.internal"}})}, http.StatusForbidden, "suspended.example.internal"},
		"no request":           {map[string]any{}, http.StatusBadRequest, "PEM block"},
		"a long life":          {map[string]any{"csr": bot.CSR(nil), "ttl": "2h"}, http.StatusBadRequest, "agent bot may ask for 1m to 1h"},
		"a life of words":      {map[string]any{"csr": bot.CSR(nil), "ttl": "long"}, http.StatusBadRequest, "want a duration such as 5m"},
		"a life backwards":     {map[string]any{"csr": bot.CSR(nil), "ttl": "-5m"}, http.StatusBadRequest, "want a duration such as 5m"},
		"the server's profile": {map[string]any{"csr": bot.CSR(nil), "profile": "server"}, http.StatusBadRequest, "no such profile"},
		"no such profile":      {map[string]any{"csr": bot.CSR(nil), "profile": strings.Repeat("x", 10_000)}, http.StatusBadRequest, "no such profile"},
	} {
		refusedAs(t, what, w.PostJSON(bot.HTTP, "/v1/certificates", c.doc), c.status, c.because)
		lastDenied(t, w, what, "certificate.issue", "bot", c.because)
	}
	if n := certificates(t, w, "bot"); n != 1 {
		t.Errorf("%d certificates", n)
	}
}

// TestSlowRequestDoesNotOutliveARevocation: a thief of a key could begin
// a renewal, hold back its body until the certificate is revoked, and come out
// with another.
func TestSlowRequestDoesNotOutliveARevocation(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{})
	body, err := json.Marshal(map[string]any{"csr": bot.CSR(nil)})
	if err != nil {
		t.Fatal(err)
	}
	slow, send := io.Pipe()
	answers := make(chan servertest.Answer, 1)
	go func() {
		r, err := bot.HTTP.Post(w.URL+"/v1/certificates", "application/json", slow)
		if err != nil {
			t.Error(err)
			close(answers)
			return
		}
		answers <- servertest.Read(w, r)
	}()
	if _, err := send.Write(body[:1]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // by now the server has looked at the certificate
	if _, err := w.Admin.RevokeCertificate(t.Context(), bot.Leaf.SerialNumber.Text(16), "keyCompromise"); err != nil {
		t.Fatal(err)
	}
	if _, err := send.Write(body[1:]); err != nil {
		t.Fatal(err)
	}
	send.Close()
	refusedAs(t, "a renewal by a certificate that was revoked meanwhile", <-answers, http.StatusUnauthorized, "the client certificate cannot be used")
	lastDenied(t, w, "a renewal", "certificate.issue", "bot", "revoked since")
	if n := certificates(t, w, "bot"); n != 1 {
		t.Errorf("%d certificates", n)
	}
}

// selfSigned makes a certificate that nobody issued.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "bot"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestManyRefusalsMakeTheAuthorityDeaf to the address that they come from, for
// a while; requests that succeed count nothing.
func TestManyRefusalsMakeTheAuthorityDeaf(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{TTL: new(time.Hour)})
	for range 80 {
		if got := bot.Renew(); got.Status != http.StatusOK {
			t.Fatalf("a good request: %d %s", got.Status, got.Body)
		} else {
			bot.Use(got)
		}
	}
	guess := func() servertest.Answer {
		return w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": agents.EnrollmentPrefix + strings.Repeat("A", 48), "csr": ""})
	}
	refusals, got := 0, guess()
	for ; got.Status == http.StatusUnauthorized; got = guess() {
		if refusals++; refusals > 1000 {
			t.Fatal("a thousand guesses were listened to")
		}
	}
	if refusals < 40 {
		t.Errorf("it is deaf after %d refusals already", refusals)
	}
	refusedAs(t, "too many", got, http.StatusTooManyRequests, "wait a little")
	if got.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
	if got := w.Get(w.Client(), "/oauth/jwks"); got == "" {
		t.Error("what anybody may read cannot be read")
	}
	if got := bot.Renew(); got.Status != http.StatusOK {
		t.Errorf("an agent that proves who it is suffers for others at its address: %d %s", got.Status, got.Body)
	}
	w.Clock.Advance(20 * time.Second)
	refusedAs(t, "after a while", guess(), http.StatusUnauthorized, "enrollment token is not valid")
}
