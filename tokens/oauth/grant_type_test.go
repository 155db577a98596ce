package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens/oauth"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

// A fixed grant asks for the same whatever the client asks for.
type fixed struct {
	wish   oauth.Wish
	refuse error
	asked  []oauth.Asked
}

func (g *fixed) Type() string { return "urn:example:fixed" }

func (g *fixed) Wish(_ context.Context, a oauth.Asked) (oauth.Wish, error) {
	g.asked = append(g.asked, a)
	return g.wish, g.refuse
}

// TestAnotherGrant: a grant says what the token shall be, and nothing else. The
// endpoint authenticates the client, and the registry decides.
func TestAnotherGrant(t *testing.T) {
	m := newAlone(t, "")
	key := newKey(t)
	bot := registered
	bot.Keys = []string{publicPEM(t, &key.PublicKey)}
	m.add(bot)
	g := &fixed{wish: oauth.Wish{Scopes: []agents.Scope{"b"}, Audiences: []string{apiURL}}}
	m.Grants = append(m.Grants, g)
	ask := func(assertion string, pairs ...string) (int, map[string]any) {
		t.Helper()
		f := asserting(assertion, append(pairs, "grant_type", g.Type())...)
		w := m.ask(f)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return w.Code, answer
	}

	status, answer := ask(m.assertion(key), "scope", "a", "thing", "x")
	token, _ := answer["access_token"].(string)
	if status != http.StatusOK || answer["scope"] != "b" || tokenstest.Part(t, token, 1)["client_id"] != "bot" {
		t.Errorf("got %d %v", status, answer)
	}
	if len(g.asked) != 1 || g.asked[0].Agent().Name != "bot" || g.asked[0].Parameter("thing") != "x" || agents.JoinScopes(g.asked[0].Scopes()) != "a" || len(g.asked[0].Audiences()) != 0 {
		t.Errorf("the grant was asked for %+v", g.asked)
	}

	// Without a client, and for a request that cannot be read, it is not asked.
	if status, answer := ask(sign(t, jwt.SigningMethodES256, newKey(t), m.claims())); answer["error"] != "invalid_client" {
		t.Errorf("with a key of nobody's: %d %v", status, answer)
	}
	if status, answer := ask(m.assertion(key), "scope", "a\tb"); answer["error"] != "invalid_scope" {
		t.Errorf("with scopes that are none: %d %v", status, answer)
	}
	if len(g.asked) != 1 {
		t.Errorf("the grant was asked %d times, want once", len(g.asked))
	}

	// It gives no more than the registry.
	g.wish.Scopes = []agents.Scope{"c"}
	if status, answer := ask(m.assertion(key)); answer["error"] != "invalid_scope" {
		t.Errorf("a scope that the agent has not: %d %v", status, answer)
	}
	g.wish.Scopes = []agents.Scope{"b"}
	g.wish.Consume = func(storage.Tx) error { return policy.ErrDenied }
	if status, answer := ask(m.assertion(key)); status == http.StatusOK {
		t.Errorf("a claim that fails: %d %v", status, answer)
	}
	g.wish.Consume = nil

	// The assertion is used up beside what the grant claims.
	assertion := m.assertion(key)
	g.wish.Consume = func(storage.Tx) error { return nil }
	if status, answer := ask(assertion); status != http.StatusOK {
		t.Errorf("a claim: %d %v", status, answer)
	}
	if status, answer := ask(assertion); answer["error"] != "invalid_client" {
		t.Errorf("an assertion used twice: %d %v", status, answer)
	}

	// A refusal by the grant is recorded.
	before := len(m.store.Events())
	g.refuse = policy.ErrScope
	if status, answer := ask(m.assertion(key)); answer["error"] != "invalid_scope" {
		t.Errorf("a refusal: %d %v", status, answer)
	}
	events := m.store.Events()[before:]
	if len(events) != 1 || events[0].Decision != audit.Deny || events[0].Action != audit.TokenMint || events[0].Subject != "bot" || events[0].Actor != string(td.ID("bot")) {
		t.Errorf("recorded are %+v", events)
	}
}

// TestGrantTypesAreSaid where others look for them.
func TestGrantTypesAreSaid(t *testing.T) {
	m := newAlone(t, "")
	m.Grants = append(m.Grants, new(fixed))
	w := m.ask(form("grant_type", "password"))
	const want = `{"error":"unsupported_grant_type","error_description":"grant_type must be one of client_credentials, urn:example:fixed"}` + "\n"
	if w.Code != http.StatusBadRequest || w.Body.String() != want {
		t.Errorf("got %d %s, want %s", w.Code, w.Body, want)
	}
	var metadata struct {
		Types []string `json:"grant_types_supported"`
	}
	if err := json.Unmarshal(m.metadata(), &metadata); err != nil || len(metadata.Types) != 2 || metadata.Types[1] != "urn:example:fixed" {
		t.Errorf("metadata has %v, %v", metadata.Types, err)
	}
}
