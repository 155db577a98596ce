package oauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

const apiURL = "https://api.example"

var b64url = base64.RawURLEncoding

// A world is a running authority with an agent that reads invoices and a
// resource server that asks about its tokens.
type world struct {
	*servertest.World
	t      *testing.T
	reader *servertest.Agent
	api    *servertest.Agent
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: servertest.New(t), t: t}
	w.reader = w.Enroll("reader", agents.Change{Scopes: []string{"invoices:read", "invoices:list"}, Audiences: []string{apiURL}, TTL: new(time.Hour)})
	w.api = w.Enroll("api", agents.Change{Scopes: []string{"brevet:introspect"}, TTL: new(time.Hour)})
	return w
}

// form makes parameters of names and values that alternate.
func form(pairs ...string) url.Values {
	f := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		f.Add(pairs[i], pairs[i+1])
	}
	return f
}

func with(f url.Values, pairs ...string) url.Values {
	f = maps.Clone(f)
	maps.Copy(f, form(pairs...))
	return f
}

// post sends a form. The clock goes on a little, so that many refusals in one
// world do not make the authority deaf to us.
func (w *world) post(c *http.Client, path string, f url.Values) servertest.Answer {
	w.t.Helper()
	return w.calm(w.PostForm(c, path, f))
}

func (w *world) calm(got servertest.Answer) servertest.Answer {
	if got.Status >= 400 {
		w.Clock.Advance(250 * time.Millisecond)
	}
	return got
}

// token mints one over mTLS.
func (w *world) token(a *servertest.Agent, pairs ...string) string {
	w.t.Helper()
	got := a.Token(form(pairs...))
	if got.Status != http.StatusOK {
		w.t.Fatalf("token of %s: %d %s", a.Name, got.Status, got.Body)
	}
	return got.JSON["access_token"].(string)
}

func (w *world) active(token string) bool {
	w.t.Helper()
	got := w.api.Introspect(token)
	if got.Status != http.StatusOK {
		w.t.Fatalf("introspection: %d %s", got.Status, got.Body)
	}
	return got.JSON["active"] == true
}

// refused checks an OAuth error answer (RFC 6749, section 5.2).
func refused(t *testing.T, what string, got servertest.Answer, status int, code, because string) {
	t.Helper()
	description, _ := got.JSON["error_description"].(string)
	if got.Status != status || got.JSON["error"] != code || !strings.Contains(description, because) {
		t.Errorf("%s: got %d %s, want %d %s that says %q", what, got.Status, got.Body, status, code, because)
	}
	if got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: answered with %v", what, got.Header)
	}
	allowed := func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }
	if strings.ContainsFunc(description, allowed) || len(description) > 500 {
		t.Errorf("%s: %d octets of error_description with characters that it may not have: %.500q", what, len(description), description)
	}
}

// nothingMinted checks that there are no tokens but those of before.
func (w *world) tokens() int {
	w.t.Helper()
	all, err := w.Admin.Tokens(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return len(all)
}

// denials returns the refusals on record of an action.
func (w *world) denials(action string) (all []api.Event) {
	w.t.Helper()
	for _, e := range w.Events() {
		if e.Decision == "deny" && string(e.Action) == action {
			all = append(all, e)
		}
	}
	return all
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// claims of a good assertion of an agent at this moment (RFC 7523, section 3).
func (w *world) claims(agent string) jwt.MapClaims {
	id := make([]byte, 16)
	rand.Read(id)
	return jwt.MapClaims{"iss": agent, "sub": agent, "aud": w.URL, "jti": fmt.Sprintf("%x", id), "exp": w.Clock.Now().Add(time.Minute).Unix()}
}

// but returns claims with one changed, or removed if the value is nil.
func but(c jwt.MapClaims, name string, value any) jwt.MapClaims {
	c = maps.Clone(c)
	if c[name] = value; value == nil {
		delete(c, name)
	}
	return c
}

// sign signs with an independent library.
func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signRaw signs exactly this header and this payload, with ES256.
func signRaw(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	signature, err := jwt.SigningMethodES256.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// asItIs signs the payload and not its base64url (RFC 7797).
func asItIs(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	header = base64.RawURLEncoding.EncodeToString([]byte(header))
	signature, err := jwt.SigningMethodES256.Sign(header+"."+payload, key)
	if err != nil {
		t.Fatal(err)
	}
	return header + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// looseBits signs claims whose base64url says the same with other bits in its last
// character, which no octet uses.
func looseBits(t testing.TB, key *ecdsa.PrivateKey, payload string) string {
	t.Helper()
	for len(payload)%3 != 1 {
		payload = payload[:len(payload)-1] + " }"
	}
	parts := strings.Split(signRaw(t, key, `{"alg":"ES256"}`, payload), ".")
	last := parts[1][len(parts[1])-1]
	parts[1] = parts[1][:len(parts[1])-1] + string(last+1) // A, Q, g or w
	return strings.Join(parts, ".")
}

// asserting are the parameters of a client that authenticates by an assertion.
func asserting(assertion string, pairs ...string) url.Values {
	return with(form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", assertion), pairs...)
}

// granting are those of a token request.
func granting(assertion string, pairs ...string) url.Values {
	return with(asserting(assertion, pairs...), "grant_type", "client_credentials")
}
