package oauth_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

const td agents.TrustDomain = "example.internal"

var start = time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)

// registered is what most tests give to the agent bot.
var registered = agents.Change{Scopes: []string{"a", "b"}, Audiences: []string{apiURL}}

// An alone is the endpoints without a server: no TLS, and a clock that stands still.
type alone struct {
	*oauth.Server
	storage.DB
	t   testing.TB
	now time.Time
}

// newAlone has a post-quantum key for these audiences, unless its algorithm is "".
func newAlone(t testing.TB, postQuantum keys.Algorithm, audiences ...string) *alone {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	m := &alone{DB: db, t: t, now: start}
	store := keys.NewStore(dir, keys.NoPassphrase)
	for purpose, algorithm := range map[keys.Purpose]keys.Algorithm{keys.Tokens: keys.ECDSAP256, keys.TokensPQ: postQuantum} {
		if algorithm == "" {
			continue
		}
		key, _, err := store.Generate(purpose, algorithm, start)
		if err != nil {
			t.Fatal(err)
		}
		m.update(func(tx storage.Tx) error {
			_, err := keys.Record(tx, key, keys.StateActive, start)
			return err
		})
	}
	log := slog.New(slog.DiscardHandler)
	service, err := tokens.New(tokens.Config{
		DB: m, Keys: store, TrustDomain: td, Issuer: "https://ca.example/", Clock: clock.Believing(func() time.Time { return m.now }), Log: log, PostQuantum: audiences,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Server = oauth.New(oauth.Config{
		Tokens: service, Log: log,
		Certificate: func(storage.Tx, *http.Request, time.Time) (*oauth.Presented, error) { return nil, nil },
	})
	return m
}

func (m *alone) update(fn func(storage.Tx) error) {
	m.t.Helper()
	if err := m.Update(context.Background(), fn); err != nil {
		m.t.Fatal(err)
	}
}

func (m *alone) add(c agents.Change) {
	m.t.Helper()
	e, err := agents.NewEnrollment(m.now)
	if err != nil {
		m.t.Fatal(err)
	}
	c.Owner = new("team")
	m.update(func(tx storage.Tx) error {
		_, err := agents.Add(tx, td, "bot", c, e, m.now)
		return err
	})
}

// ask sends a token request.
func (m *alone) ask(f url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	m.ServeToken(w, r)
	return w
}

// nothingMinted checks that a refusal left its event and nothing else.
func (m *alone) nothingMinted(t *testing.T, what string) {
	t.Helper()
	err := m.DB.View(t.Context(), func(tx storage.Tx) error {
		for token, err := range tokens.Since(tx, time.Time{}) {
			t.Errorf("%s: on record is %+v, %v", what, token, err)
		}
		n := 0
		for e, err := range audit.Since(tx, 0) {
			if n++; err != nil || e.Decision != audit.Deny || e.Action != "token.mint" || e.Subject != "bot" || e.Credential != "" {
				t.Errorf("%s: recorded is %+v, %v", what, e, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d events", what, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// served returns what the endpoint of keys answers to a GET of path.
func (m *alone) served(path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	m.ServeJWKS(w, httptest.NewRequest("GET", path, nil))
	return w
}

// published returns how many keys resource servers are given.
func (m *alone) published(path string) int {
	m.t.Helper()
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(m.served(path).Body.Bytes(), &set); err != nil {
		m.t.Fatal(err)
	}
	return len(set.Keys)
}

// genuine verifies a token as a resource server does: with the key that the
// token names, if that is for the algorithm that the token names.
func genuine(t testing.TB, token string, published map[string]json.RawMessage) bool {
	t.Helper()
	parts := strings.Split(token, ".")
	var header struct{ Alg, Kid string }
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = b64url.DecodeString(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(decoded[0], &header); err != nil {
		t.Fatal(err)
	}
	key, err := pqc.ParseJWK(published[header.Kid])
	return err == nil && key.VerifyJWS(header.Alg, []byte(parts[0]+"."+parts[1]), decoded[2])
}

// inJOSE are the post-quantum algorithms of keys and tokens, by their names there.
func inJOSE() map[string]pqc.Algorithm {
	all := map[string]pqc.Algorithm{}
	for _, a := range pqc.Algorithms() {
		if a.JOSE() != "" {
			all[a.JOSE()] = a
		}
	}
	return all
}
