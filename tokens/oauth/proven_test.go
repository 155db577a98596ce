package oauth_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
)

// TestProvenClientIsToldWhy: a client whose signature is good learns why it is refused,
// the refusal is recorded, and nothing is minted.
func TestProvenClientIsToldWhy(t *testing.T) {
	w := newWorld(t)
	key, suspended, gone := newKey(t), newKey(t), newKey(t)
	for name, key := range map[string]*ecdsa.PrivateKey{"bot": key, "suspended": suspended, "gone": gone} {
		w.Add(name, agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}, Keys: []string{publicPEM(t, &key.PublicKey)}})
	}
	if _, err := w.Admin.Suspend(t.Context(), "suspended", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.Decommission(t.Context(), "gone", ""); err != nil {
		t.Fatal(err)
	}
	in := func(d time.Duration) int64 { return w.Clock.Now().Add(d).Unix() }
	es256 := func(c jwt.MapClaims) string { return sign(t, jwt.SigningMethodES256, key, c) }
	good := func() jwt.MapClaims { return w.claims("bot") }
	payload := func(c jwt.MapClaims) string {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	typed := func(typ string) string { return signRaw(t, key, `{"alg":"ES256","typ":`+typ+`}`, payload(good())) }
	replayed := es256(good())
	for _, good := range []string{replayed, typed(`"jwt"`), typed(`"client-authentication+jwt"`), typed(`"application/JWT"`)} {
		if got := w.post(w.Client(), "/oauth/token", granting(good)); got.Status != http.StatusOK {
			t.Fatalf("a good one: %d %s", got.Status, got.Body)
		}
	}
	minted, before := w.tokens(), len(w.denials("token.mint"))
	const aud, typ = "aud must be https://", "typ must be JWT or client-authentication+jwt"
	for _, c := range []struct{ what, about, assertion, because string }{
		{"another audience", "bot", es256(but(good(), "aud", "https://elsewhere.example")), aud},
		{"the audience of the API", "bot", es256(but(good(), "aud", apiURL)), aud},
		{"the token endpoint as audience", "bot", es256(but(good(), "aud", w.URL+"/oauth/token")), aud},
		{"one audience of several", "bot", es256(but(good(), "aud", []string{apiURL, w.URL})), aud},
		{"the audience twice", "bot", es256(but(good(), "aud", []string{w.URL, w.URL})), aud},
		{"the audience with two slashes", "bot", es256(but(good(), "aud", w.URL+"//")), aud},
		{"no audience", "bot", es256(but(good(), "aud", nil)), aud},
		{"an empty list of audiences", "bot", es256(but(good(), "aud", []string{})), aud},
		{"expired", "bot", es256(but(good(), "exp", in(-31*time.Second))), "expired at 20"},
		{"for a long time", "bot", es256(but(good(), "exp", in(time.Hour+40*time.Second))), "more than 1h ahead"},
		{"no end", "bot", es256(but(good(), "exp", nil)), "needs exp"},
		{"claims in another case", "bot", signRaw(t, key, `{"alg":"ES256"}`, strings.Replace(payload(good()), `"exp"`, `"EXP"`, 1)), "needs exp"},
		{"not to be used yet", "bot", es256(but(good(), "nbf", in(40*time.Second))), "nbf lies ahead"},
		{"made in the future", "bot", es256(but(good(), "iat", in(40*time.Second))), "iat lies ahead"},
		{"no jti", "bot", es256(but(good(), "jti", nil)), "jti"},
		{"an empty jti", "bot", es256(but(good(), "jti", "")), "jti"},
		{"a long jti", "bot", es256(but(good(), "jti", strings.Repeat("j", 257))), "jti"},
		{"used before", "bot", replayed, "used before"},
		{"an access token", "bot", typed(`"at+jwt"`), typ},
		{"a DPoP proof", "bot", typed(`"dpop+jwt"`), typ},
		{"an ID-JAG", "bot", typed(`"oauth-id-jag+jwt"`), typ},
		{"an empty typ", "bot", typed(`""`), typ},
		{"a typ that is a number", "bot", typed(`7`), typ},
		{"of a suspended agent", "suspended", sign(t, jwt.SigningMethodES256, suspended, w.claims("suspended")), "agent is not active; ask its operator"},
		{"of a decommissioned agent", "gone", sign(t, jwt.SigningMethodES256, gone, w.claims("gone")), "agent is not active; ask its operator"},
	} {
		got := w.post(w.Client(), "/oauth/token", granting(c.assertion))
		refused(t, c.what, got, http.StatusUnauthorized, "invalid_client", c.because)
		if challenge := got.Header.Get("WWW-Authenticate"); challenge != "" {
			t.Errorf("%s: challenged by %s", c.what, challenge)
		}
		denials := w.denials("token.mint")[before:]
		before += len(denials)
		if len(denials) != 1 || denials[0].Subject != c.about {
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
