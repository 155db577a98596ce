package server

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/clientcert"
	"github.com/brevet-ca/brevet/storage/audit"
)

// forward posts a form with fields Client-Cert, over a connection with the certificate of a
// proxy.
func (a *world) forward(path string, form url.Values, proxy *x509.Certificate, fields ...string) reply {
	return a.send(a.agents, path, "application/x-www-form-urlencoded", form.Encode(), proxy, http.Header{clientcert.Header: fields})
}

// enrolledWith enrolls an agent with scopes.
func (a *world) enrolledWith(name string, c agents.Change) *x509.Certificate {
	a.t.Helper()
	got := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": a.add(name, c), "csr": csrPEM(a.t, newKey(a.t), nil)}, nil)
	leaf := got.leaf(a.t)
	if leaf == nil {
		a.t.Fatalf("enrolling %s: %d %s", name, got.status, got.body)
	}
	return leaf
}

func (a *world) proxy(name string) *x509.Certificate {
	a.t.Helper()
	return a.enrolledWith(name, agents.Change{Scopes: []string{"brevet:proxy"}})
}

// TestForwardedCertificate: a client behind a proxy gets a token that is bound to its own
// certificate, and the event names both.
func TestForwardedCertificate(t *testing.T) {
	a := newAuthority(t)
	proxy, bot := a.proxy("edge"), a.enrolled("bot")
	got := a.forward("/oauth/token", wantToken(url.Values{}), proxy, clientcert.Format(bot.Raw))
	if !got.ok() {
		t.Fatalf("%d %s", got.status, got.body)
	}
	log := a.log(0)
	last := log[len(log)-1]
	if last.Action != audit.TokenMint || last.Subject != "bot" || !strings.HasSuffix(last.Reasons[0], ", by edge") || last.Details.Proof != "forwarded_client_certificate" || last.Details.Certificate != serial(bot) || last.Details.Proxy != "edge" {
		t.Errorf("recorded is %+v, %+v", last, last.Details)
	}
	token, _ := got.json["access_token"].(string)
	reader := a.enrolledWith("reader", agents.Change{Scopes: []string{"brevet:introspect"}})
	in := a.forward("/oauth/introspect", url.Values{"token": {token}}, proxy, clientcert.Format(reader.Raw))
	if cnf, _ := in.json["cnf"].(map[string]any); in.json["active"] != true || cnf["x5t#S256"] == nil {
		t.Errorf("introspection through the proxy: %d %s", in.status, in.body)
	}
	if got := a.forward("/oauth/revoke", url.Values{"token": {token}}, proxy, clientcert.Format(bot.Raw)); !got.ok() {
		t.Errorf("revoking through the proxy: %d %s", got.status, got.body)
	}
}

// TestForwardedIsRefused: from everybody but a proxy, at every other endpoint and in every
// other form the field is refused with 400, whatever else the request has.
func TestForwardedIsRefused(t *testing.T) {
	a := newAuthority(t)
	proxy, bot, other := a.proxy("edge"), a.enrolled("bot"), a.enrolled("other")
	good := clientcert.Format(bot.Raw)
	gone := a.proxy("gone")
	a.operate("POST", "/certificates/"+serial(gone)+"/revoke", nil)
	form := wantToken(url.Values{})
	for what, got := range map[string]reply{
		"nobody":                a.forward("/oauth/token", form, nil, good),
		"the agent itself":      a.forward("/oauth/token", form, bot, good),
		"another agent":         a.forward("/oauth/token", form, other, good),
		"a proxy that is ended": a.forward("/oauth/token", form, gone, good),
		"a stranger's":          a.forward("/oauth/token", form, stranger(t), good),
		"two fields":            a.forward("/oauth/token", form, proxy, good, good),
		"an empty field":        a.forward("/oauth/token", form, proxy, ""),
		"no certificate":        a.forward("/oauth/token", form, proxy, clientcert.Format([]byte("x"))),
		"two certificates":      a.forward("/oauth/token", form, proxy, clientcert.Format(slices.Concat(bot.Raw, other.Raw))),
		"a chain": a.send(a.agents, "/oauth/token", "application/x-www-form-urlencoded", form.Encode(), proxy,
			http.Header{clientcert.Header: {good}, clientcert.ChainHeader: {good}}),
		"a chain alone":       a.send(a.agents, "/oauth/token", "application/x-www-form-urlencoded", form.Encode(), proxy, http.Header{clientcert.ChainHeader: {good}}),
		"a chain of an agent": a.send(a.agents, "/oauth/introspect", "application/x-www-form-urlencoded", "token=x", bot, http.Header{clientcert.ChainHeader: {good}}),
	} {
		if got.status != http.StatusBadRequest || got.json["error"] != "invalid_request" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	for path, h := range map[string]http.Handler{
		"/v1/enroll": a.agents, "/v1/certificates": a.agents, "/acme/new-order": a.agents, "/acme/directory": a.agents, "/roots.pem": a.agents, "/v1/../oauth/token": a.agents,
		"/nowhere": a.agents, "/crl/x.crl": a.public, "/ocsp": a.public, "/agents": a.operators, "/status": a.operators,
	} {
		if got := a.send(h, path, "application/json", "{}", proxy, http.Header{clientcert.Header: {good}}); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/oauth/jwks", "/oauth/authorize"} {
		for cert, want := range map[*x509.Certificate]bool{proxy: true, bot: false, nil: false} {
			r := httptest.NewRequest("GET", path, nil)
			r.Header[clientcert.Header] = []string{good}
			got := a.serve(a.agents, r, "", cert)
			if refused := strings.Contains(got.body, "brevet:proxy"); refused == want {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
	}
}

func stranger(t *testing.T) *x509.Certificate { return newAuthority(t).proxy("edge") }

// TestForwardedMustBeAlive: what is forwarded is checked like what is presented, and is never
// the certificate of a proxy or of the server.
func TestForwardedMustBeAlive(t *testing.T) {
	a := newAuthority(t)
	proxy, bot, second := a.proxy("edge"), a.enrolled("bot"), a.proxy("second")
	revoked := a.enrolled("revoked")
	a.operate("POST", "/certificates/"+serial(revoked)+"/revoke", nil)
	if err := a.authority.Own.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, cert := range map[string]*x509.Certificate{
		"a revoked one": revoked, "one of another authority": stranger(t), "a proxy's": second, "its own": proxy, "the server's": a.authority.Own.Current().Leaf,
	} {
		if got := a.forward("/oauth/token", wantToken(url.Values{}), proxy, clientcert.Format(cert.Raw)); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	log := a.log(0)
	if last := log[len(log)-1]; last.Decision != audit.Deny || !strings.Contains(fmt.Sprint(log), "a certificate that edge forwarded: ") {
		t.Errorf("recorded is %+v", last)
	}
	a.set(bot.NotAfter)
	again := a.proxy("later")
	if got := a.forward("/oauth/token", wantToken(url.Values{}), again, clientcert.Format(bot.Raw)); got.status != http.StatusUnauthorized {
		t.Errorf("an expired one: %d %s", got.status, got.body)
	}
}

// TestProxyIsNoClient: whoever reaches a proxy uses its connection, so its certificate gets
// nobody a token or a certificate.
func TestProxyIsNoClient(t *testing.T) {
	a := newAuthority(t)
	key := newKey(t)
	proxy := a.enrolledWith("edge", agents.Change{Scopes: []string{"brevet:proxy", "read"}, Audiences: []string{"https://api.example"}, Keys: []string{publicPEM(t, key)}})
	if got := a.postForm("/oauth/token", wantToken(url.Values{"scope": {"read"}}), proxy); got.status != http.StatusUnauthorized {
		t.Errorf("a token: %d %s", got.status, got.body)
	}
	if got := a.renew(proxy); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "use a registered key") {
		t.Errorf("a renewal: %d %s", got.status, got.body)
	}
	c := claimant{world: a}
	a.set(a.now().Add(time.Second))
	got := a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": csrPEM(t, newKey(t), nil), "client_assertion": c.byAssertion("edge", key).Get("client_assertion")}, proxy)
	if !got.ok() {
		t.Errorf("a renewal by a registered key: %d %s", got.status, got.body)
	}
	a.set(proxy.NotAfter)
	if got := a.renew(proxy); got.status != http.StatusUnauthorized {
		t.Errorf("a renewal after the end: %d %s", got.status, got.body)
	}
	botKey := newKey(t)
	bot := a.enrolledWith("bot", agents.Change{Keys: []string{publicPEM(t, botKey)}, Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
	fresh := a.proxy("fresh")
	if got := a.postForm("/oauth/token", wantToken(c.byAssertion("bot", botKey)), fresh); !got.ok() {
		t.Errorf("an assertion through a proxy: %d %s", got.status, got.body)
	}
	a.operate(http.MethodPatch, "/agents/bot", agents.Change{Scopes: []string{"brevet:proxy"}})
	if got := a.renew(bot); got.status != http.StatusUnauthorized {
		t.Errorf("an agent that becomes a proxy renews: %d %s", got.status, got.body)
	}
}

// TestLimitsBehindProxy: those whose certificates cannot be used count against the proxy. Its
// other clients go on.
func TestLimitsBehindProxy(t *testing.T) {
	a := newAuthority(t)
	proxy, bot, far := a.proxy("edge"), a.enrolled("bot"), stranger(t)
	limited := 0
	for range 100 {
		if got := a.forward("/oauth/token", wantToken(url.Values{}), proxy, clientcert.Format(far.Raw)); got.status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 50 {
		t.Errorf("%d of 100 were turned away, want 50", limited)
	}
	if got := a.forward("/oauth/token", wantToken(url.Values{}), proxy, clientcert.Format(bot.Raw)); !got.ok() {
		t.Errorf("a neighbour behind the proxy: %d %s", got.status, got.body)
	}
	if got := a.postForm("/oauth/token", wantToken(url.Values{}), bot); !got.ok() {
		t.Errorf("the same agent without the proxy: %d %s", got.status, got.body)
	}
}

// TestProxyIsCountedAtRenewals in place of the address that it has in common with others, by
// its certificate, also if that has expired.
func TestProxyIsCountedAtRenewals(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		a := newAuthority(t)
		proxy := a.proxy("edge")
		if when == "after" {
			a.set(proxy.NotAfter)
		}
		limited := 0
		for range 100 {
			if got := a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": csrPEM(t, newKey(t), nil), "client_assertion": "x"}, proxy); got.status == http.StatusTooManyRequests {
				limited++
			}
		}
		if got := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": "x", "csr": csrPEM(t, newKey(t), nil)}, nil); limited == 0 || got.status == http.StatusTooManyRequests {
			t.Errorf("%s the end of its certificate: %d of 100 were turned away; a neighbour of the proxy got %d", when, limited, got.status)
		}
	}
}
