package oauth_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

const td = catest.TrustDomain

var start = catest.Start

// registered is what most tests give to the agent bot.
var registered = agents.Change{Scopes: []string{"a", "b"}, Audiences: []string{apiURL}}

// An alone is the endpoints without a server: no TLS, and a clock that stands still.
type alone struct {
	*oauth.Server
	storage.DB
	store *catest.Store
	t     testing.TB
	now   time.Time
}

// newAlone has a post-quantum key for these audiences, unless its algorithm is "".
func newAlone(t testing.TB, postQuantum keys.Algorithm, audiences ...string) *alone {
	t.Helper()
	m := &alone{t: t, now: start}
	m.store = catest.NewStore(t, func() time.Time { return m.now })
	m.DB = m.store.DB
	m.store.Key(keys.Tokens, keys.ECDSAP256)
	m.store.Key(keys.TokensPQ, postQuantum)
	log := slog.New(slog.DiscardHandler)
	service, err := tokens.New(tokens.Config{
		DB: m, Policy: &policy.Point{DB: m, Rules: policy.Rules{Authority: address.At("https://ca.example")}}, Keys: m.store.Keys, TrustDomain: td, Address: address.At("https://ca.example"), Clock: m.store.Clock(), Log: log, PostQuantum: audiences,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Server = oauth.New(oauth.Config{
		Tokens: service, Log: log, Grants: []oauth.Grant{oauth.ClientCredentials{}},
		Certificate: func(storage.Tx, *http.Request, time.Time) (*oauth.Presented, error) { return nil, nil },
	})
	return m
}

func (m *alone) add(c agents.Change) { m.store.Add("bot", c) }

// ask sends a token request.
func (m *alone) ask(f url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	m.ServeToken(w, r)
	return w
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

// TestTokenBoundToAKeyIsNoBearerToken: without a proof of the key (RFC 9449) it
// opens nothing here.
func TestTokenBoundToAKeyIsNoBearerToken(t *testing.T) {
	const records = storage.Partitioned[tokens.Token]("tokens")
	m := newAlone(t, "")
	m.add(agents.Change{Scopes: []string{"brevet:introspect"}})
	minted, err := m.Tokens.Mint(t.Context(), tokens.Request{Claim: catest.Claim("bot")})
	if err != nil {
		t.Fatal(err)
	}
	introspect := func() int {
		r := httptest.NewRequest("POST", "/oauth/introspect", strings.NewReader(url.Values{"token": {"x"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer "+minted.Text.Reveal())
		w := httptest.NewRecorder()
		m.ServeIntrospect(w, r)
		return w.Code
	}
	if got := introspect(); got != http.StatusOK {
		t.Errorf("a bearer token: %d", got)
	}
	record := minted.Token
	record.Bound = &tokens.Binding{Kind: tokens.ToKey, Thumbprint: [32]byte{1}}
	m.store.Update(func(tx storage.Tx) error { return records.Put(tx, record.ID.Expires(), record.ID.Key(), record) })
	if got := introspect(); got != http.StatusUnauthorized {
		t.Errorf("one that is bound to a key: %d", got)
	}
}

// metadata returns the document that ServeMetadata answers.
func (m *alone) metadata() []byte {
	w := httptest.NewRecorder()
	m.ServeMetadata(w, httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
	return w.Body.Bytes()
}
