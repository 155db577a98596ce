package oauth_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

// newPostQuantumWorld is a world in which the bank's tokens, and the
// authority's own, have this algorithm.
func newPostQuantumWorld(t *testing.T, algorithm string) *world {
	t.Helper()
	w := newWorld(t)
	if _, err := w.Admin.RotateKeyNow(t.Context(), "tokens-pq", algorithm); err != nil {
		t.Fatal(err)
	}
	w.wants(bankURL, w.URL)
	return w
}

// wants restarts the authority with these audiences in brevet.yaml.
func (w *world) wants(audiences ...string) {
	w.t.Helper()
	w.Stop()
	f, err := os.OpenFile(w.File("brevet.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := json.Marshal(audiences)
	if err == nil {
		_, err = fmt.Fprintf(f, "tokens: {post_quantum: %s}\n", list)
	}
	if err != nil || f.Close() != nil {
		w.t.Fatal(err)
	}
	w.Start()
}

// TestPostQuantumTokenLives like any other: it is bound, introspected, used as
// a bearer token, and revoked. The greatest algorithm shows that it fits
// everywhere.
func TestPostQuantumTokenLives(t *testing.T) {
	w := newPostQuantumWorld(t, "mldsa87")
	teller := w.Enroll("teller", agents.Change{Scopes: []string{"a"}, Audiences: []string{bankURL}, TTL: new(time.Hour)})
	token := w.token(teller)
	hash := sha256.Sum256(teller.Leaf.Raw)
	if cnf, _ := tokenstest.Part(t, token, 1)["cnf"].(map[string]any); tokenstest.Part(t, token, 0)["alg"] != "ML-DSA-87" || cnf["x5t#S256"] != b64url.EncodeToString(hash[:]) {
		t.Errorf("header %v, claims %v", tokenstest.Part(t, token, 0), tokenstest.Part(t, token, 1))
	}
	var published struct{ Keys []json.RawMessage }
	if err := json.Unmarshal([]byte(w.Get(w.Client(), "/oauth/jwks")), &published); err != nil || len(published.Keys) != 2 {
		t.Fatalf("published are %d keys, %v", len(published.Keys), err)
	}
	keys := map[string]json.RawMessage{tokenstest.Part(t, token, 0)["kid"].(string): published.Keys[1]}
	if !tokenstest.Genuine(t, token, keys) || !w.active(token) {
		t.Error("it is not genuine, or not active")
	}
	if other := w.token(w.reader); tokenstest.Part(t, other, 0)["alg"] != "ES256" || !w.active(other) {
		t.Error("a token for another audience")
	}

	// As a bearer token, in a header.
	self := w.token(w.api)
	if len(self) < 6000 || tokenstest.Part(t, self, 0)["alg"] != "ML-DSA-87" {
		t.Errorf("the authority's own has %d octets", len(self))
	}
	asBearer := func(c *http.Client) servertest.Answer {
		r, err := http.NewRequest("POST", w.URL+"/oauth/introspect", strings.NewReader(form("token", token).Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer "+self)
		answer, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return servertest.Read(w.World, answer)
	}
	if got := asBearer(w.api.HTTP); got.Status != http.StatusOK || got.JSON["active"] != true {
		t.Errorf("with a bearer token: %d %s", got.Status, got.Body)
	}
	refused(t, "with the bearer token alone", w.calm(asBearer(w.Client())), http.StatusUnauthorized, "invalid_token", "")

	// After a rotation, and to its end.
	if _, err := w.Admin.RotateKeyNow(t.Context(), "tokens-pq", "mldsa44-ed25519-sha512"); err != nil {
		t.Fatal(err)
	}
	next := w.token(teller)
	if tokenstest.Part(t, next, 0)["alg"] != "ML-DSA-44-Ed25519" || !w.active(next) || !w.active(token) {
		t.Errorf("after a rotation: %v", tokenstest.Part(t, next, 0))
	}
	if got := len(w.served("/oauth/jwks")["keys"].([]any)); got != 3 {
		t.Errorf("%d keys are published", got)
	}
	if got := w.PostForm(teller.HTTP, "/oauth/revoke", form("token", token)); got.Status != http.StatusOK {
		t.Errorf("revoking it: %d %s", got.Status, got.Body)
	}
	if w.active(token) || !w.active(next) {
		t.Error("revocation of one")
	}
	w.Clock.Advance(66 * time.Minute)
	if got := len(w.served("/oauth/jwks")["keys"].([]any)); got != 2 {
		t.Errorf("%d keys are published after the last token of the first has died", got)
	}
}

// TestPostQuantumKeyIsMissing: clients whose audience wants such a key get no
// token, the log says what to do, and a new key is used without a restart.
func TestPostQuantumKeyIsMissing(t *testing.T) {
	w := newWorld(t)
	w.wants(bankURL)
	if !strings.Contains(w.Log.String(), "brevet key rotate tokens-pq --algorithm") {
		t.Error("the log does not say what to do")
	}
	teller := w.Enroll("teller", agents.Change{Scopes: []string{"a"}, Audiences: []string{bankURL, apiURL}})
	refused(t, "without a key", w.calm(teller.Token(form("resource", bankURL))), http.StatusServiceUnavailable, "temporarily_unavailable", "post-quantum")
	if denials := w.denials("token.mint"); len(denials) != 1 || denials[0].Subject != "teller" || w.tokens() != 0 {
		t.Errorf("recorded are %+v, and %d tokens", denials, w.tokens())
	}
	w.token(teller, "resource", apiURL)
	for _, algorithm := range []string{"", "ecdsa-p256", "mldsa65-ecdsa-p256-sha512", "ecdsa-p256+mldsa65"} {
		if key, err := w.Admin.RotateKeyNow(t.Context(), "tokens-pq", algorithm); err == nil {
			t.Errorf("%q: got %+v", algorithm, key)
		}
	}
	if key, err := w.Admin.RotateKeyNow(t.Context(), "tokens", "mldsa65"); err == nil {
		t.Errorf("a post-quantum key for everybody: %+v", key)
	}
	if _, err := w.Admin.RotateKeyNow(t.Context(), "tokens-pq", "mldsa65"); err != nil {
		t.Fatal(err)
	}
	if token := w.token(teller, "resource", bankURL); tokenstest.Part(t, token, 0)["alg"] != "ML-DSA-65" || !w.active(token) {
		t.Error("with a key")
	}
	key, err := w.Admin.RotateKeyNow(t.Context(), "tokens-pq", "")
	if err != nil || key.Algorithm != "mldsa65" {
		t.Errorf("another of the same algorithm: %+v, %v", key, err)
	}
	if key, err := w.Admin.RotateKeyNow(t.Context(), "tokens", "ed25519"); err != nil || tokenstest.Part(t, w.token(teller, "resource", apiURL), 0)["alg"] != "EdDSA" {
		t.Errorf("another classical algorithm: %+v, %v", key, err)
	}
}
