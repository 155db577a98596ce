package oauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestAssertionsThatAreRefused: each that proves nothing with the same answer, to the
// octet, as the assertion of an agent that does not exist; recorded where an agent is
// concerned; and nothing minted.
func TestAssertionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	key, otherKey := newKey(t), newKey(t)
	registered := publicPEM(t, &key.PublicKey)
	add := func(name, key string) {
		w.Add(name, agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}, Keys: []string{key}})
	}
	add("bot", registered)
	add("other", publicPEM(t, &otherKey.PublicKey))
	add("suspended", publicPEM(t, &newKey(t).PublicKey))
	if _, err := w.Admin.Suspend(t.Context(), "suspended", ""); err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	es256 := func(c jwt.MapClaims) string { return sign(t, jwt.SigningMethodES256, key, c) }
	good := func() jwt.MapClaims { return w.claims("bot") }
	payload := func(c jwt.MapClaims) string {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const header = `{"alg":"ES256","typ":"JWT"}`
	flip := func(s string) string { // another character in the middle of the signature
		i := len(s) - 20
		return s[:i] + map[bool]string{true: "A", false: "B"}[s[i] != 'A'] + s[i+1:]
	}
	minted, before := w.tokens(), len(w.denials("token.mint"))

	unknown := w.post(w.Client(), "/oauth/token", granting(es256(w.claims("nobody"))))
	refused(t, "of an agent that does not exist", unknown, http.StatusUnauthorized, "invalid_client", "private_key_jwt")
	for _, c := range []struct {
		what, about, assertion string
		more                   []string
	}{
		{"a bad signature", "bot", flip(es256(good())), nil},
		{"a bad signature and bad claims", "bot", flip(es256(but(good(), "aud", apiURL))), nil},
		{"of a suspended agent, with the key of another", "suspended", sign(t, jwt.SigningMethodES256, otherKey, w.claims("suspended")), nil},
		{"the key of another agent", "bot", sign(t, jwt.SigningMethodES256, otherKey, good()), nil},
		{"signed by another agent as itself", "bot", sign(t, jwt.SigningMethodES256, otherKey, w.claims("bot")), nil},
		{"no signature", "", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good()), nil},
		{"no signature, said in another case", "", signRaw(t, key, `{"alg":"None"}`, payload(good())), nil},
		{"a MAC with the public key in PEM", "", sign(t, jwt.SigningMethodHS256, []byte(registered), good()), nil},
		{"a MAC with the public key in DER", "", sign(t, jwt.SigningMethodHS256, spki, good()), nil},
		{"a key that it brings along", "bot", jwkInHeader(t, otherKey, payload(good())), nil},
		{"RSA said of an ECDSA key", "bot", signRaw(t, key, `{"alg":"RS256"}`, payload(good())), nil},
		{"another curve said", "bot", signRaw(t, key, `{"alg":"ES384"}`, payload(good())), nil},
		{"no algorithm", "", signRaw(t, key, `{"typ":"JWT"}`, payload(good())), nil},
		{"a critical extension", "", signRaw(t, key, `{"alg":"ES256","crit":["x"],"x":1}`, payload(good())), nil},
		{"a payload that is not encoded", "", asItIs(t, key, `{"alg":"ES256","crit":["b64"],"b64":false}`, payload(good())), nil},
		{"a payload that is not encoded, in silence", "", asItIs(t, key, `{"alg":"ES256","b64":false}`, payload(good())), nil},
		{"a line break", "", strings.Replace(es256(good()), ".", "\n.", 1), nil},
		{"a space at its end", "", es256(good()) + " ", nil},
		{"claims with bits too many", "", looseBits(t, key, payload(good())), nil},
		{"two algorithms", "", signRaw(t, key, `{"alg":"ES256","alg":"none"}`, payload(good())), nil},
		{"for ever", "", es256(but(good(), "exp", 1e300)), nil},
		{"an end that is text", "", es256(but(good(), "exp", "tomorrow")), nil},
		{"a jti that is a number", "", es256(but(good(), "jti", 7)), nil},
		{"subject of another agent", "", es256(but(good(), "sub", "other")), nil},
		{"issuer of another agent", "", es256(but(good(), "iss", "other")), nil},
		{"subject by its ID", "", es256(but(good(), "sub", "spiffe://example.internal/agent/bot")), nil},
		{"no subject", "", es256(but(good(), "sub", nil)), nil},
		{"no issuer", "", es256(but(good(), "iss", nil)), nil},
		{"another client_id", "", es256(good()), []string{"client_id", "other"}},
		{"of the authority", "brevet", es256(w.claims("brevet")), nil},
		{"of a name that is none", "", es256(w.claims("../bot")), nil},
		{"claims that come twice", "", signRaw(t, key, header, strings.Replace(payload(good()), "{", `{"iss":"other",`, 1)), nil},
		{"claims that are no object", "", signRaw(t, key, header, `"bot"`), nil},
		{"claims that are no JSON", "", signRaw(t, key, header, `{"iss":`), nil},
		{"oversized", "", es256(but(good(), "pad", strings.Repeat("x", 16<<10))), nil},
		{"no JWT", "", "junk", nil},
		{"four parts", "", es256(good()) + ".x", nil},
		{"an encrypted one's five parts", "", "a.b.c.d.e", nil},
		{"in JSON", "", `{"payload":"","signatures":[]}`, nil},
		{"of another type", "", es256(good()), []string{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}},
		{"of no type", "", es256(good()), []string{"client_assertion_type", ""}},
	} {
		got := w.post(w.Client(), "/oauth/token", with(granting(c.assertion), c.more...))
		if got.Status != unknown.Status || got.Body != unknown.Body || got.Header.Get("WWW-Authenticate") != unknown.Header.Get("WWW-Authenticate") {
			t.Errorf("%s: got %d %s, want the same as for an agent that does not exist", c.what, got.Status, got.Body)
		}
		denials := w.denials("token.mint")[before:]
		before += len(denials)
		recorded := ""
		if len(denials) == 1 {
			recorded = denials[0].Subject
		}
		if recorded != c.about || len(denials) > 1 {
			t.Errorf("%s: recorded are %+v, want one about %q", c.what, denials, c.about)
		}
	}
	if got := w.tokens(); got != minted {
		t.Errorf("%d tokens were minted", got-minted)
	}
	if got := w.post(w.Client(), "/oauth/token", granting(es256(good()))); got.Status != http.StatusOK {
		t.Errorf("a good one after all that: %d %s", got.Status, got.Body)
	}
}

// jwkInHeader signs with a key of the attacker's, which stands in the header.
func jwkInHeader(t *testing.T, key *ecdsa.PrivateKey, payload string) string {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := func(b []byte) string { return b64url.EncodeToString(b) }
	return signRaw(t, key, fmt.Sprintf(`{"alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":%q,"y":%q}}`, b64(point[1:33]), b64(point[33:])), payload)
}

// TestAssertionIsUsedOnce, however many send it at once, and wherever.
func TestAssertionIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	key := newKey(t)
	w.Add("bot", agents.Change{Scopes: []string{"a", "brevet:introspect"}, Audiences: []string{apiURL}, Keys: []string{publicPEM(t, &key.PublicKey)}})
	fresh := func() string { return sign(t, jwt.SigningMethodES256, key, w.claims("bot")) }
	assertion := fresh()
	var granted atomic.Int32
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if w.PostForm(w.Client(), "/oauth/token", granting(assertion)).Status == http.StatusOK {
				granted.Add(1)
			}
		})
	}
	wait.Wait()
	if granted.Load() != 1 || w.tokens() != 1 {
		t.Errorf("it was granted %d times, %d tokens are on record", granted.Load(), w.tokens())
	}
	other := w.PostForm(w.Client(), "/oauth/token", granting(fresh())).JSON["access_token"].(string)
	for path, token := range map[string]string{"/oauth/introspect": "x", "/oauth/revoke": other} {
		refused(t, path, w.post(w.Client(), path, asserting(assertion, "token", "x")), http.StatusUnauthorized, "invalid_client", "")
		used := fresh()
		if got := w.post(w.Client(), path, asserting(used, "token", token)); got.Status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
		refused(t, path+", again", w.post(w.Client(), path, asserting(used, "token", "x")), http.StatusUnauthorized, "invalid_client", "")
		refused(t, path+", then a token", w.post(w.Client(), "/oauth/token", granting(used)), http.StatusUnauthorized, "invalid_client", "")
	}
	// A refusal of what was asked does not use it up, nor does a revocation of nothing.
	assertion = fresh()
	for range 2 {
		if got := w.post(w.Client(), "/oauth/revoke", asserting(assertion, "token", "x")); got.Status != http.StatusOK {
			t.Errorf("revoking nothing: %d %s", got.Status, got.Body)
		}
	}
	refused(t, "too much", w.post(w.Client(), "/oauth/token", granting(assertion, "scope", "b")), http.StatusBadRequest, "invalid_scope", "")
	if got := w.post(w.Client(), "/oauth/token", granting(assertion)); got.Status != http.StatusOK {
		t.Errorf("after a refusal: %d %s", got.Status, got.Body)
	}
}

// TestAssertionsToIntrospectAreBounded: an agent that introspects by assertions uses as
// many as its quota allows until they expire, and revoking nothing uses none.
func TestAssertionsToIntrospectAreBounded(t *testing.T) {
	w := newWorld(t)
	w.Configure("limits: {assertions: 3}\n")
	key := newKey(t)
	w.Add("bot", agents.Change{Scopes: []string{"a", "brevet:introspect"}, Audiences: []string{apiURL}, Keys: []string{publicPEM(t, &key.PublicKey)}})
	ask := func(path string) servertest.Answer {
		return w.post(w.Client(), path, asserting(sign(t, jwt.SigningMethodES256, key, w.claims("bot")), "token", "x"))
	}
	used := func() int64 {
		a, err := w.Admin.Agent(t.Context(), "bot")
		if err != nil {
			t.Fatal(err)
		}
		return a.Usage["assertions"].Used
	}
	for range 5 {
		if got := ask("/oauth/revoke"); got.Status != http.StatusOK || used() != 0 {
			t.Fatalf("revoking nothing: %d %s; it has used %d assertions", got.Status, got.Body, used())
		}
	}
	for range 3 {
		if got := ask("/oauth/introspect"); got.Status != http.StatusOK {
			t.Fatalf("introspecting: %d %s", got.Status, got.Body)
		}
	}
	got := ask("/oauth/introspect")
	refused(t, "one more", got, http.StatusTooManyRequests, "temporarily_unavailable", "3 of 3 assertions")
	if got.Header.Get("Retry-After") != "60" || used() != 3 {
		t.Errorf("Retry-After is %q; it has used %d", got.Header.Get("Retry-After"), used())
	}
	w.Clock.Advance(time.Hour + time.Minute)
	if got := ask("/oauth/introspect"); got.Status != http.StatusOK {
		t.Errorf("when they have expired: %d %s", got.Status, got.Body)
	}
}

// TestRegisteredKeys: every kind of key that an agent may have works with its
// own algorithms.
func TestRegisteredKeys(t *testing.T) {
	w := newWorld(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256 := newKey(t)
	var all []string
	for _, key := range []crypto.Signer{p256, p384, edwards, rsaKey} {
		all = append(all, publicPEM(t, key.Public()))
	}
	w.Add("bot", agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}})
	sent := sign(t, jwt.SigningMethodES256, p256, w.claims("bot"))
	refused(t, "before it is registered", w.post(w.Client(), "/oauth/token", granting(sent)), http.StatusUnauthorized, "invalid_client", "")
	if _, err := w.Admin.SetAgent(t.Context(), "bot", api.Change{Keys: all}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method jwt.SigningMethod
		key    any
	}{
		{jwt.SigningMethodES256, p256}, {jwt.SigningMethodES384, p384}, {jwt.SigningMethodEdDSA, edwards}, {renamed{jwt.SigningMethodEdDSA, "Ed25519"}, edwards},
		{jwt.SigningMethodRS256, rsaKey}, {jwt.SigningMethodRS512, rsaKey}, {jwt.SigningMethodPS256, rsaKey}, {jwt.SigningMethodPS384, rsaKey},
	} {
		got := w.post(w.Client(), "/oauth/token", granting(sign(t, c.method, c.key, w.claims("bot"))))
		if got.Status != http.StatusOK {
			t.Errorf("%s: %d %s", c.method.Alg(), got.Status, got.Body)
		}
	}
	for what, c := range map[string]jwt.MapClaims{
		"the audience with a slash": but(w.claims("bot"), "aud", w.URL+"/"), "the audience in upper case": but(w.claims("bot"), "aud", strings.ToUpper(w.URL)), "a list of one audience": but(w.claims("bot"), "aud", []string{w.URL}),
		"expired just now": but(w.claims("bot"), "exp", w.Clock.Now().Add(-20*time.Second).Unix()), "a clock that is ahead": but(w.claims("bot"), "iat", w.Clock.Now().Add(20*time.Second).Unix()),
		"an hour": but(w.claims("bot"), "exp", w.Clock.Now().Add(time.Hour).Unix()), "more claims": but(w.claims("bot"), "x", map[string]any{"y": 1}),
	} {
		got := w.post(w.Client(), "/oauth/token", granting(sign(t, jwt.SigningMethodES256, p256, c), "client_id", "bot"))
		if got.Status != http.StatusOK {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	if _, err := w.Admin.SetAgent(t.Context(), "bot", api.Change{Keys: []string{}}); err != nil {
		t.Fatal(err)
	}
	refused(t, "no longer registered", w.post(w.Client(), "/oauth/token", granting(sign(t, jwt.SigningMethodES256, p256, w.claims("bot")))), http.StatusUnauthorized, "invalid_client", "")
}

// renamed is a signing method under another name.
type renamed struct {
	jwt.SigningMethod
	name string
}

func (r renamed) Alg() string { return r.name }

// TestKeysOfCertificatesAuthenticate while those certificates are alive.
func TestKeysOfCertificatesAuthenticate(t *testing.T) {
	w := newWorld(t)
	assert := func(key any) func() (int, string) {
		return func() (int, string) {
			got := w.post(w.Client(), "/oauth/token", granting(sign(t, jwt.SigningMethodES256, key, w.claims("reader"))))
			return got.Status, got.Body
		}
	}
	want := func(what string, ask func() (int, string), status int) {
		t.Helper()
		if got, body := ask(); got != status {
			t.Errorf("%s: %d %s, want %d", what, got, body, status)
		}
	}
	first := assert(w.reader.Key)
	want("the certificate's key", first, http.StatusOK)
	w.reader.Use(w.reader.Renew())
	second := assert(w.reader.Key)
	want("the key of the certificate before, which is alive", first, http.StatusOK)
	want("the new one's", second, http.StatusOK)
	if _, err := w.Admin.RevokeCertificate(t.Context(), w.reader.Leaf.SerialNumber.Text(16), "keyCompromise"); err != nil {
		t.Fatal(err)
	}
	want("after its revocation", second, http.StatusUnauthorized)
	want("the other's", first, http.StatusOK)
	if events := w.denials("token.mint"); len(events) != 1 || events[0].Subject != "reader" {
		t.Errorf("recorded are %+v", events)
	}
	w.Clock.Advance(time.Hour)
	want("after it expired", first, http.StatusUnauthorized)
}
