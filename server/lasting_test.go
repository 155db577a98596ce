package server

import (
	"crypto/ecdsa"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// byKey asks for a certificate with an assertion.
func (a *world) byKey(assertion string) reply {
	a.t.Helper()
	return a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": csrPEM(a.t, newKey(a.t), nil), "client_assertion": assertion}, nil)
}

// signed returns an assertion for a lifetime, with the claims changed.
func (a *world) signed(name string, key *ecdsa.PrivateKey, life time.Duration, change map[string]any) string {
	claims := map[string]any{"iss": name, "sub": name, "aud": a.file.Advertise, "jti": "once", "iat": a.now().Unix(), "exp": a.now().Add(life).Unix()}
	for k, v := range change {
		claims[k] = v
	}
	return signES256(a.t, key, `{"alg":"ES256"}`, claims)
}

// TestRegisteredKeyObtainsCertificates: the first one and every other, without a token and
// however long ago the last one ended.
func TestRegisteredKeyObtainsCertificates(t *testing.T) {
	a := newAuthority(t)
	key := newKey(t)
	a.add("bot", agents.Change{Keys: []string{publicPEM(t, key)}})
	for range 2 {
		before := a.authority.Events()
		first := a.byKey(a.assertion("bot", key))
		leaf := first.leaf(t)
		if first.status != http.StatusOK || leaf == nil || leaf.Subject.CommonName != "bot" {
			t.Fatalf("%d %s", first.status, first.body)
		}
		if e := a.log(before)[0]; e.Details.Proof != "private_key_jwt" || e.Actor != "spiffe://example.internal/agent/bot" {
			t.Errorf("recorded is %+v with %+v", e, e.Details)
		}
		a.renewed("and it renews by itself", leaf)
		a.outage(400 * 24 * time.Hour / 10)
	}
	a.operate("PATCH", "/agents/bot", agents.Change{Keys: []string{}})
	if got := a.byKey(a.assertion("bot", key)); got.status != http.StatusUnauthorized {
		t.Errorf("with a key that was removed: %d %s", got.status, got.body)
	}
}

// TestAssertionsForCertificatesThatAreRefused: the client learns why if it has a key of the agent.
func TestAssertionsForCertificatesThatAreRefused(t *testing.T) {
	a := newAuthority(t)
	key, cert := newKey(t), a.enrolled("certified")
	a.add("bot", agents.Change{Keys: []string{publicPEM(t, key)}, Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	a.add("off", agents.Change{Keys: []string{publicPEM(t, newKey(t))}})
	used := a.assertion("bot", key)
	if got := a.byKey(used); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	spent := a.assertion("bot", key)
	form := wantToken(url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {spent}})
	if got := a.postForm(oauth.TokenPath, form, nil); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	const unknown = "sign it with a key that is registered"
	for what, c := range map[string]struct{ assertion, because string }{
		"used before":                  {used, "used before"},
		"used for a token":             {spent, "used before"},
		"for longer than five minutes": {a.signed("bot", key, 6*time.Minute, nil), "more than 5m"},
		"expired":                      {a.signed("bot", key, -time.Minute, nil), "expired at"},
		"for another audience":         {a.signed("bot", key, time.Minute, map[string]any{"aud": "https://elsewhere.example"}), "aud must be"},
		"without a jti":                {a.signed("bot", key, time.Minute, map[string]any{"jti": ""}), "a jti"},
		"by a certificate's key":       {a.assertion("certified", a.keyOf(cert)), "key of a certificate"},
		"by another's key":             {a.assertion("off", key), unknown},
		"of nobody":                    {a.assertion("nobody", key), unknown},
		"of no form":                   {"x.y.z", unknown},
	} {
		if got := a.byKey(c.assertion); got.status != http.StatusUnauthorized || !strings.Contains(got.body, c.because) {
			t.Errorf("%s: %d %s, want 401 that says %q", what, got.status, got.body, c.because)
		}
	}
	if got := a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": csrPEM(t, newKey(t), nil)}, nil); got.status != http.StatusUnauthorized {
		t.Errorf("a request alone: %d %s", got.status, got.body)
	}
	if got := a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": csrPEM(t, newKey(t), nil), "client_assertion": a.assertion("bot", key)}, cert); got.status != http.StatusBadRequest {
		t.Errorf("both: %d %s", got.status, got.body)
	}
	if n := len(a.holdings()["bot"]); n != 2 { // a certificate and a token
		t.Errorf("bot holds %v", a.holdings()["bot"])
	}
}
