package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

const formType = "application/x-www-form-urlencoded"

// TestRequestsThatAreNoRequests, at each of the three endpoints (RFC 6749,
// section 3.2 and appendix B).
func TestRequestsThatAreNoRequests(t *testing.T) {
	w := newWorld(t)
	for path, good := range map[string]string{
		"/oauth/token": "grant_type=client_credentials", "/oauth/introspect": "token=x", "/oauth/revoke": "token=x",
	} {
		agent := w.reader
		if path == "/oauth/introspect" {
			agent = w.api
		}
		for _, c := range []struct{ what, path, kind, body, because string }{
			{"JSON", path, "application/json", `{"grant_type":"client_credentials","token":"x"}`, "application/x-www-form-urlencoded"},
			{"no content type", path, "", good, "application/x-www-form-urlencoded"},
			{"a multipart form", path, "multipart/form-data; boundary=x", good, "application/x-www-form-urlencoded"},
			{"a broken content type", path, formType + "; =", good, "application/x-www-form-urlencoded"},
			{"parameters in the URL", path + "?" + good, formType, good, "not in the URL"},
			{"a parameter in the URL", path + "?x", formType, good, "not in the URL"},
			{"a parameter twice", path, formType, good + "&" + good, "twice"},
			{"a parameter twice, encoded", path, formType, good + "&scope=a&%73cope=b", "twice"},
			{"an unknown parameter twice", path, formType, good + "&x=1&x=2", "twice"},
			{"a broken escape", path, formType, good + "&x=%zz", "not form-encoded"},
			{"semicolons", path, formType, good + ";x=1", "not form-encoded"},
			{"not UTF-8", path, formType, good + "&x=%ff", "not UTF-8"},
			{"oversized", path, formType, good + "&x=" + strings.Repeat("x", 64<<10), "more than 65536 octets"},
			{"nothing", path, formType, "", "is missing"},
			{"an empty parameter", path, formType, strings.SplitAfter(good, "=")[0], "is missing"},
		} {
			got := w.calm(w.Post(agent.HTTP, c.path, c.kind, c.body))
			refused(t, path+": "+c.what, got, http.StatusBadRequest, "invalid_request", c.because)
		}
		for _, body := range []string{good, good + "&x=1", good + "&x=&x=", "scope=&" + good, good + "&"} {
			if got := w.Post(agent.HTTP, path, formType+"; charset=utf-8", body); got.Status != http.StatusOK {
				t.Errorf("%s: %q: %d %s", path, body, got.Status, got.Body)
			}
		}
		r, err := agent.HTTP.Get(w.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if got := servertest.Read(w.World, r); got.Status != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d %s", path, got.Status, got.Body)
		}
	}
}

func TestOtherGrantsAreUnsupported(t *testing.T) {
	w := newWorld(t)
	for _, grant := range []string{"authorization_code", "password", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange", "client_credentials ", "CLIENT_CREDENTIALS"} {
		got := w.post(w.reader.HTTP, "/oauth/token", form("grant_type", grant))
		refused(t, grant, got, http.StatusBadRequest, "unsupported_grant_type", "client_credentials")
	}
	if n := w.tokens(); n != 0 {
		t.Errorf("%d tokens were minted", n)
	}
}

// TestClientsHaveNoSecrets: not in the body, and not in a header, not even
// besides a good certificate.
func TestClientsHaveNoSecrets(t *testing.T) {
	w := newWorld(t)
	const secret = "correct-horse-battery-staple"
	for _, c := range []*http.Client{w.reader.HTTP, w.Client()} {
		got := w.post(c, "/oauth/token", form("grant_type", "client_credentials", "client_id", "reader", "client_secret", secret))
		refused(t, "in the body", got, http.StatusUnauthorized, "invalid_client", "private_key_jwt")
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
			r, err := http.NewRequest("POST", w.URL+path, strings.NewReader(form("grant_type", "client_credentials", "token", "x").Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("reader", secret)
			r.Header.Set("Content-Type", formType)
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, path+" in a header", w.calm(servertest.Read(w.World, resp)), http.StatusUnauthorized, "invalid_client", "")
		}
	}
	if strings.Contains(w.Log.String(), secret) {
		t.Error("the secret stands in the log")
	}
}

// TestOnlyWhatTheRegistryGrants: scopes and audiences are denied by default.
func TestOnlyWhatTheRegistryGrants(t *testing.T) {
	w := newWorld(t)
	plain := w.Enroll("plain", agents.Change{})
	two := w.Enroll("two", agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL, "https://web.example"}})
	for _, c := range []struct {
		what          string
		agent         *servertest.Agent
		form          url.Values
		code, because string
	}{
		{"nothing granted", plain, form(), "invalid_scope", "none at all"},
		{"a scope of nobody's", w.reader, form("scope", "invoices:write"), "invalid_scope", "invoices:write"},
		{"one too many", w.reader, form("scope", "invoices:read invoices:write"), "invalid_scope", "invoices:write"},
		{"the authority's", w.reader, form("scope", "brevet:introspect"), "invalid_scope", "brevet:introspect"},
		{"one unknown to it", w.reader, form("scope", "brevet:root"), "invalid_scope", "brevet:root"},
		{"in another case", w.reader, form("scope", "Invoices:read"), "invalid_scope", "Invoices:read"},
		{"spaces alone", w.reader, form("scope", "  "), "invalid_scope", "no scope is named"},
		{"a quote", w.reader, form("scope", `invoices:"read"`), "invalid_scope", "visible ASCII"},
		{"not ASCII", w.reader, form("scope", "invoices:re\u0430d"), "invalid_scope", "visible ASCII"},
		{"a long one", w.reader, form("scope", strings.Repeat("x", 60_000)), "invalid_scope", "1 to 128"},
		{"another resource", w.reader, form("resource", "https://other.example"), "invalid_target", "https://other.example"},
		{"another by the name of audience", w.reader, form("audience", "https://other.example"), "invalid_target", "https://other.example"},
		{"the resource with two slashes", w.reader, form("resource", apiURL+"//"), "invalid_target", apiURL + "//"},
		{"the authority as resource", w.reader, form("resource", w.URL), "invalid_target", w.URL},
		{"a good one and a bad one", w.reader, url.Values{"resource": {apiURL, "https://other.example"}}, "invalid_target", "https://other.example"},
		{"resource and audience that differ", w.reader, form("resource", apiURL, "audience", "https://other.example"), "invalid_target", "https://other.example"},
		{"a resource of words", w.reader, form("resource", "\"the API\"\n\u0430"), "invalid_target", "the API"},
		{"a long resource", w.reader, form("resource", "https://"+strings.Repeat("x", 60_000)), "invalid_target", "https://xxx"},
		{"one of two must be named", two, form(), "invalid_target", "it has 2, name one"},
		{"too many resources", w.reader, url.Values{"resource": slices.Repeat([]string{apiURL}, 17)}, "invalid_request", "16 resources"},
		{"both kinds of scopes", w.api, form("scope", "brevet:introspect invoices:read"), "invalid_scope", "invoices:read"},
		{"another audience for the authority's", w.api, form("resource", apiURL), "invalid_target", apiURL},
	} {
		before := len(w.denials("token.mint"))
		refused(t, c.what, w.calm(c.agent.Token(c.form)), http.StatusBadRequest, c.code, c.because)
		parsed := c.because != "1 to 128" && c.because != "no scope is named" && c.because != "visible ASCII" && c.because != "brevet:root" && c.code != "invalid_request"
		denials := w.denials("token.mint")[before:]
		if !parsed {
			continue // that was no request that anything was decided on
		}
		if len(denials) != 1 || denials[0].Subject != c.agent.Name || denials[0].Actor != "spiffe://example.internal/agent/"+c.agent.Name || len(denials[0].Request) != 16 {
			t.Errorf("%s: recorded are %+v", c.what, denials)
		}
	}
	if n := w.tokens(); n != 0 {
		t.Errorf("%d tokens were minted", n)
	}
}

// TestClientsByCertificate (RFC 8705, section 2.1).
func TestClientsByCertificate(t *testing.T) {
	w := newWorld(t)
	key := newKey(t)
	w.Add("other", agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}, Keys: []string{publicPEM(t, &key.PublicKey)}})
	if got := w.reader.Token(form("client_id", "reader")); got.Status != http.StatusOK {
		t.Errorf("with its client_id: %d %s", got.Status, got.Body)
	}
	other := func() string { return sign(t, jwt.SigningMethodES256, key, w.claims("other")) }
	before := w.tokens()
	refused(t, "another client_id", w.calm(w.reader.Token(form("client_id", "other"))), http.StatusUnauthorized, "invalid_client", "")
	refused(t, "nothing at all", w.post(w.Client(), "/oauth/token", form("grant_type", "client_credentials")), http.StatusUnauthorized, "invalid_client", "")
	refused(t, "only a client_id", w.post(w.Client(), "/oauth/token", form("grant_type", "client_credentials", "client_id", "reader")), http.StatusUnauthorized, "invalid_client", "")
	refused(t, "an assertion of another agent", w.post(w.reader.HTTP, "/oauth/token", granting(other())), http.StatusUnauthorized, "invalid_client", "")
	if got := w.denials("token.mint"); len(got) != 2 || got[0].Subject != "reader" || got[1].Subject != "other" {
		t.Errorf("recorded are %+v", got)
	}

	// A certificate of another authority, the server's own, one of an ended
	// agent, and an expired one.
	elsewhere := servertest.New(t).Enroll("reader", agents.Change{})
	foreign := w.Client(elsewhere.Cert)
	suspended := w.Enroll("suspended", agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}})
	if _, err := w.Admin.Suspend(t.Context(), "suspended", ""); err != nil {
		t.Fatal(err)
	}
	for what, client := range map[string]*http.Client{"another authority's": foreign, "a suspended agent's": suspended.HTTP} {
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
			got := w.post(client, path, form("grant_type", "client_credentials", "token", "x"))
			refused(t, what+" at "+path, got, http.StatusUnauthorized, "invalid_client", "")
		}
		refused(t, what+" beside a good assertion", w.post(client, "/oauth/token", granting(other())), http.StatusUnauthorized, "invalid_client", "")
	}
	w.Clock.Advance(2 * time.Hour)
	refused(t, "expired", w.calm(w.reader.Token(nil)), http.StatusUnauthorized, "invalid_client", "")
	if n := w.tokens(); n != before {
		t.Errorf("%d tokens were minted", n-before)
	}
}

// TestBoundTokenDiesWithItsCertificate (RFC 8705, section 3), and no other does.
func TestBoundTokenDiesWithItsCertificate(t *testing.T) {
	w := newWorld(t)
	first := w.token(w.reader)
	serial := w.reader.Leaf.SerialNumber.Text(16)
	w.reader.Use(w.reader.Renew())
	second := w.token(w.reader)
	if !w.active(first) || !w.active(second) {
		t.Fatal("a token of an earlier certificate lives on while that does")
	}
	if _, err := w.Admin.RevokeCertificate(t.Context(), serial, ""); err != nil {
		t.Fatal(err)
	}
	if w.active(first) || !w.active(second) {
		t.Errorf("after its certificate was revoked: active %t, the other %t", w.active(first), w.active(second))
	}
}
