package oauth_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

// inactive is all that is said of a token that may not be used (RFC 7662,
// section 2.2).
const inactive = "{\"active\":false}\n"

func TestIntrospectionToTheLetter(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.reader)
	got := w.api.Introspect(token)
	want := tokenstest.Part(t, token, 1)
	want["active"], want["token_type"] = true, "Bearer"
	if got.Status != http.StatusOK || !reflect.DeepEqual(got.JSON, want) || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %s, want %v", got.Body, want)
	}
	if hinted := w.post(w.api.HTTP, "/oauth/introspect", form("token", token, "token_type_hint", "refresh_token")); hinted.Body != got.Body {
		t.Errorf("with a wrong hint: %s", hinted.Body)
	}
}

// TestIntrospectionCutsWhatWasLost: scopes and audiences are those that the
// agent has now; without any, the token is inactive.
func TestIntrospectionCutsWhatWasLost(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.reader)
	set := func(c agents.Change) servertest.Answer {
		t.Helper()
		if _, err := w.Admin.SetAgent(t.Context(), "reader", api.Change(c)); err != nil {
			t.Fatal(err)
		}
		return w.api.Introspect(token)
	}
	if got := set(agents.Change{Scopes: []string{"invoices:list", "invoices:write"}}); got.JSON["scope"] != "invoices:list" || got.JSON["active"] != true {
		t.Errorf("one scope lost, another won: %s", got.Body)
	}
	if got := set(agents.Change{Scopes: []string{"invoices:write"}}); got.Body != inactive {
		t.Errorf("no scope left: %s", got.Body)
	}
	if got := set(agents.Change{Scopes: []string{"invoices:read"}, Audiences: []string{"https://web.example"}}); got.Body != inactive {
		t.Errorf("no audience left: %s", got.Body)
	}
	if got := set(agents.Change{Audiences: []string{apiURL, "https://web.example"}}); got.JSON["scope"] != "invoices:read" || got.JSON["aud"] != apiURL {
		t.Errorf("given back: %s", got.Body)
	}
}

func TestTokensThatAreInactive(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.reader)
	parts := strings.Split(token, ".")
	other := servertest.New(t)
	foreign := other.Enroll("reader", agents.Change{Scopes: []string{"invoices:read"}, Audiences: []string{apiURL}})
	elsewhere := foreign.Token(nil).JSON["access_token"].(string)
	key := newKey(t)
	claims := tokenstest.Part(t, token, 1)
	for what, text := range map[string]string{
		"junk": "junk", "dots": "..", "more dots": "....", "a space before": " " + token, "a line after": token + "\n", "another's": elsewhere,
		"without its signature": parts[0] + "." + parts[1] + ".", "another signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"another encoding of it": parts[0] + "." + parts[1] + "=." + parts[2], "a part more": token + ".x", "a part less": parts[0] + "." + parts[1],
		"unsigned": base64url(`{"alg":"none"}`) + "." + parts[1] + ".", "signed by somebody": sign(t, jwt.SigningMethodES256, key, claims),
		"of a jti that never was": sign(t, jwt.SigningMethodES256, key, but(claims, "jti", "0c5e8e7a00112233445566778899aabbccddeeff")),
		"of a jti that is none":   sign(t, jwt.SigningMethodES256, key, but(claims, "jti", 7)),
		"only the jti":            claims["jti"].(string), "a payload that is no object": parts[0] + "." + base64url(`"x"`) + "." + parts[2],
		"oversized": parts[0] + "." + parts[1] + "." + strings.Repeat("A", 16<<10), "an enrollment token": "brevet_enroll_" + strings.Repeat("A", 48),
	} {
		if got := w.api.Introspect(text); got.Status != http.StatusOK || got.Body != inactive {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	if !w.active(token) {
		t.Fatal("the token itself is inactive")
	}
	w.Clock.Advance(time.Hour - time.Minute)
	w.api.Use(w.api.Renew())
	if !w.active(token) {
		t.Error("inactive before its end")
	}
	w.Clock.Advance(time.Minute)
	if w.active(token) {
		t.Error("active after its end")
	}
}

func base64url(s string) string { return b64url.EncodeToString([]byte(s)) }

// TestIntrospectionIsForCallersWithTheScope; others are refused, on record.
func TestIntrospectionIsForCallersWithTheScope(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.reader)
	refused(t, "the agent itself", w.calm(w.reader.Introspect(token)), http.StatusForbidden, "insufficient_scope", "brevet:introspect")
	events := w.denials("token.introspect")
	if len(events) != 1 || events[0].Subject != "reader" || events[0].Actor != "spiffe://example.internal/agent/reader" || len(events[0].Reasons) != 1 {
		t.Errorf("recorded are %+v", events)
	}
	refused(t, "nobody", w.post(w.Client(), "/oauth/introspect", form("token", token)), http.StatusUnauthorized, "invalid_client", "")
	if _, err := w.Admin.SetAgent(t.Context(), "api", api.Change{Scopes: []string{}}); err != nil {
		t.Fatal(err)
	}
	refused(t, "one that lost the scope", w.calm(w.api.Introspect(token)), http.StatusForbidden, "insufficient_scope", "brevet:introspect")

	key := newKey(t)
	w.Add("asserter", agents.Change{Scopes: []string{"brevet:introspect"}, Keys: []string{publicPEM(t, &key.PublicKey)}})
	got := w.post(w.Client(), "/oauth/introspect", asserting(sign(t, jwt.SigningMethodES256, key, w.claims("asserter")), "token", token))
	if got.JSON["active"] != true {
		t.Errorf("by an assertion: %d %s", got.Status, got.Body)
	}
}

// bearing asks with a bearer token (RFC 6750, section 2.1).
func (w *world) bearing(c *http.Client, authorization, token string) servertest.Answer {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.URL+"/oauth/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", formType)
	r.Header.Set("Authorization", authorization)
	resp, err := c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.calm(servertest.Read(w.World, resp))
}

// TestIntrospectionByBearerToken: the caller's own access token, for this
// authority and with the scope.
func TestIntrospectionByBearerToken(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.reader)
	key := newKey(t)
	w.Add("asker", agents.Change{Scopes: []string{"brevet:introspect", "a"}, Audiences: []string{apiURL}, Keys: []string{publicPEM(t, &key.PublicKey)}})
	w.Stop()
	servertest.ChangeStore(t, w.Dir, func(tx storage.Tx) error { // a grant of earlier, which permits nothing
		table := storage.Table[agents.Agent]("agents")
		a, err := table.Get(tx, "asker")
		if err != nil {
			return err
		}
		a.Scopes = append(a.Scopes, agents.ScopeAdmin)
		return table.Put(tx, "asker", a)
	})
	w.Start()
	mint := func(pairs ...string) string {
		got := w.post(w.Client(), "/oauth/token", granting(sign(t, jwt.SigningMethodES256, key, w.claims("asker")), pairs...))
		if got.Status != http.StatusOK {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		return got.JSON["access_token"].(string)
	}
	own := mint("scope", "brevet:introspect")
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER "} {
		if got := w.bearing(w.Client(), scheme+own, token); got.JSON["active"] != true {
			t.Errorf("%q: %d %s", scheme, got.Status, got.Body)
		}
	}
	const bearer, basic = `Bearer realm="brevet"`, `Basic realm="brevet"`
	for what, c := range map[string]struct{ authorization, code, challenge string }{
		"unknown":              {"Bearer junk", "invalid_token", bearer + `, error="invalid_token"`},
		"two spaces":           {"Bearer  " + own, "invalid_token", bearer + `, error="invalid_token"`},
		"for another audience": {"Bearer " + mint(), "invalid_token", bearer + `, error="invalid_token"`},
		"empty":                {"Bearer ", "invalid_client", bearer + `, error="invalid_client"`},
		"no scheme":            {own, "invalid_client", bearer},
		"another scheme":       {"DPoP " + own, "invalid_client", bearer},
		"a basic one":          {"Basic " + base64url("asker:secret"), "invalid_client", basic},
		"nothing at all":       {"", "invalid_client", bearer},
	} {
		got := w.bearing(w.Client(), c.authorization, token)
		refused(t, what, got, http.StatusUnauthorized, c.code, "") // RFC 6750, section 3.1
		if challenge := got.Header.Get("WWW-Authenticate"); challenge != c.challenge {
			t.Errorf("%s: challenged by %s, want %s", what, challenge, c.challenge)
		}
	}
	refused(t, "with another scope of the authority's", w.bearing(w.Client(), "Bearer "+mint("scope", "brevet:admin"), token), http.StatusForbidden, "insufficient_scope", "")
	if events := w.denials("token.introspect"); len(events) != 1 || events[0].Subject != "asker" {
		t.Errorf("recorded are %+v", events)
	}
	if _, err := w.Admin.SetAgent(t.Context(), "asker", api.Change{Scopes: []string{"brevet:admin", "a"}}); err != nil {
		t.Fatal(err)
	}
	if got := w.bearing(w.Client(), "Bearer "+own, token); got.Status < 400 {
		t.Errorf("after it lost the scope: %d %s", got.Status, got.Body)
	}
}

// TestStolenBoundTokenOpensNothing: a client that presents a token bound to a
// certificate must present the certificate too (RFC 8705, section 3), even to the
// authority.
func TestStolenBoundTokenOpensNothing(t *testing.T) {
	w := newWorld(t)
	token, stolen := w.token(w.reader), w.token(w.api)
	for what, thief := range map[string]*http.Client{"without a certificate": w.Client(), "with another agent's": w.reader.HTTP} {
		got := w.bearing(thief, "Bearer "+stolen, token)
		refused(t, what, got, http.StatusUnauthorized, "invalid_token", "")
	}
	if got := w.bearing(w.api.HTTP, "Bearer "+stolen, token); got.JSON["active"] != true {
		t.Errorf("by its holder: %d %s", got.Status, got.Body)
	}
	w.api.Use(w.api.Renew())
	if got := w.bearing(w.api.HTTP, "Bearer "+stolen, token); got.Status != http.StatusUnauthorized {
		t.Errorf("by its holder with the next certificate: %d %s", got.Status, got.Body)
	}
}

// TestRevocation (RFC 7009): agents end their own tokens. A request with any other
// token gets the same answer and changes nothing.
func TestRevocation(t *testing.T) {
	w := newWorld(t)
	token, second, others := w.token(w.reader), w.token(w.reader), w.token(w.api)
	revoke := func(a *servertest.Agent, token string) {
		t.Helper()
		got := w.post(a.HTTP, "/oauth/revoke", form("token", token, "token_type_hint", "access_token"))
		if got.Status != http.StatusOK || got.Body != "" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %d %q %v", got.Status, got.Body, got.Header)
		}
	}
	revoke(w.reader, others)
	if got := w.denials("token.revoke"); len(got) != 1 || got[0].Subject != "api" || got[0].Actor != "spiffe://example.internal/agent/reader" {
		t.Errorf("recorded are %+v", got)
	}
	events := len(w.Events())
	for _, unknown := range []string{"junk", token + "x", "brevet_enroll_" + strings.Repeat("A", 48), strings.Repeat("A", 20_000)} {
		revoke(w.reader, unknown)
	}
	if n := len(w.Events()); n != events {
		t.Errorf("%d events for unknown tokens", n-events)
	}
	for _, alive := range []string{token, second, others} {
		if !w.active(alive) {
			t.Fatal("it ended a token that was not to end")
		}
	}
	revoke(w.reader, token)
	if w.active(token) || !w.active(second) || !w.active(others) {
		t.Errorf("after its revocation: active %t, the agent's other one %t, another agent's %t", w.active(token), w.active(second), w.active(others))
	}
	revoke(w.reader, token) // again
	list, err := w.Admin.Tokens(t.Context(), "reader")
	if err != nil || len(list) != 2 {
		t.Fatalf("got %+v, %v", list, err)
	}
	for _, one := range list {
		if revoked := one.ID == tokenstest.Part(t, token, 1)["jti"]; revoked != (one.State == "revoked") || revoked && one.Reason != "superseded" {
			t.Errorf("listed as %+v", one)
		}
	}
	refused(t, "by nobody", w.post(w.Client(), "/oauth/revoke", form("token", second)), http.StatusUnauthorized, "invalid_client", "")
	if !w.active(second) {
		t.Error("nobody ended a token")
	}
}
