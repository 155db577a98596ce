package tokens_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/storage/keys/file"
	"github.com/brevet-ca/brevet/tokens"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

const td = catest.TrustDomain

var start = catest.Start

// A mint is a service without a server. It calls afterView between the decision
// to mint and its recording.
type mint struct {
	*tokens.Service
	storage.DB
	store     *catest.Store
	t         testing.TB
	now       time.Time
	afterView func()
}

func newMint(t testing.TB, algorithm keys.Algorithm) *mint { return newHybridMint(t, algorithm, "") }

// newHybridMint has a post-quantum key as well, unless its algorithm is "", for
// these audiences.
func newHybridMint(t testing.TB, algorithm, postQuantum keys.Algorithm, audiences ...string) *mint {
	t.Helper()
	m := &mint{t: t, now: start}
	m.store = catest.NewStore(t, func() time.Time { return m.now })
	m.DB = m.store.DB
	m.store.Key(keys.Tokens, algorithm)
	m.store.Key(keys.TokensPQ, postQuantum)
	var err error
	m.Service, err = tokens.New(tokens.Config{
		DB: m, Policy: &policy.Point{DB: m, Rules: policy.Rules{Authority: address.At("https://ca.example")}}, Keys: m.store.Keys, TrustDomain: td, Address: address.At("https://ca.example"), Clock: m.store.Clock(), Log: slog.New(slog.DiscardHandler),
		PostQuantum: audiences,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mint) View(ctx context.Context, fn func(storage.Tx) error) error {
	err := m.DB.View(ctx, fn)
	if hook := m.afterView; hook != nil {
		m.afterView = nil
		hook()
	}
	return err
}

func (m *mint) add(c agents.Change) { m.store.Add("bot", c) }

func (m *mint) set(c agents.Change) {
	m.t.Helper()
	m.store.Update(func(tx storage.Tx) error { _, err := agents.Set(tx, td, "bot", c, m.now); return err })
}

func (m *mint) setRole(c agents.RoleChange) {
	m.t.Helper()
	m.store.Update(func(tx storage.Tx) error { _, err := agents.SetRole(tx, "reader", c, m.now); return err })
}

// give gives the agent what is registered otherwise, until an end.
func (m *mint) give(until *time.Time) {
	m.t.Helper()
	c := registered
	c.Until = until
	m.store.Update(func(tx storage.Tx) error { _, err := agents.Give(tx, "bot", c, "uid=0", m.now); return err })
}

func (m *mint) suspend() { m.store.Suspend("bot") }

var wanted = tokens.Request{Claim: catest.Claim("bot")}

var registered = agents.Change{Scopes: []string{"a", "b"}, Audiences: []string{"https://api.example"}}

func TestTokenIsThrownAwayIf(t *testing.T) {
	for what, c := range map[string]struct {
		happens func(*mint)
		want    error
	}{
		"the agent was suspended": {func(m *mint) { m.suspend() }, agents.ErrNotActive},
		"it was suspended and resumed": {func(m *mint) {
			m.suspend()
			m.store.Update(func(tx storage.Tx) error { _, err := agents.Resume(tx, "bot", m.now); return err })
		}, agents.ErrRevoked},
		"its owner was cut off": {func(m *mint) {
			m.store.Update(func(tx storage.Tx) error { return agents.CutOwner(tx, "team", agents.Cutoff{At: m.now}) })
		}, agents.ErrRevoked},
		"a scope was taken away":     {func(m *mint) { m.set(agents.Change{Scopes: []string{"b"}}) }, policy.ErrScope},
		"the audience was taken":     {func(m *mint) { m.set(agents.Change{Audiences: []string{"https://web.example"}}) }, policy.ErrAudience},
		"its role was taken":         {func(m *mint) { m.set(agents.Change{Roles: []string{}}) }, policy.ErrScope},
		"its role lost the scope":    {func(m *mint) { m.setRole(agents.RoleChange{Scopes: []string{"b"}}) }, policy.ErrScope},
		"its role lost the audience": {func(m *mint) { m.setRole(agents.RoleChange{Audiences: []string{}}) }, policy.ErrAudience},
		"its role was removed": {func(m *mint) {
			m.store.Update(func(tx storage.Tx) error { _, _, err := agents.RemoveRole(tx, "reader", true, m.now); return err })
		}, policy.ErrScope},
		"its grant was taken":     {func(m *mint) { m.give(new(time.Time)) }, policy.ErrScope},
		"its grant was shortened": {func(m *mint) { m.give(new(m.now.Add(time.Second))) }, policy.ErrScope},
	} {
		t.Run(what, func(t *testing.T) {
			m := newMint(t, keys.Ed25519)
			switch {
			case strings.HasPrefix(what, "its role"):
				m.store.Update(func(tx storage.Tx) error {
					_, err := agents.AddRole(tx, "reader", agents.RoleChange{Scopes: registered.Scopes, Audiences: registered.Audiences}, m.now)
					return err
				})
				m.add(agents.Change{Roles: []string{"reader"}})
			case strings.HasPrefix(what, "its grant"):
				m.add(agents.Change{})
				m.give(new(m.now.Add(time.Minute)))
			default:
				m.add(registered)
			}
			m.afterView = func() { c.happens(m) }
			r := wanted
			r.Scopes, r.Audiences = []agents.Scope{"a"}, []string{"https://api.example"}
			if token, err := m.Mint(t.Context(), r); !errors.Is(err, c.want) || !policy.IsDenial(err) {
				t.Errorf("got %v, %v, want %v", token, err, c.want)
			}
			tokenstest.NothingMinted(t, m.DB, what)
			if d := m.store.Events()[0].Details; !slices.Equal(d.Scopes, []string{"a"}) || !slices.Equal(d.Audiences, r.Audiences) {
				t.Errorf("the refusal does not say what was asked for: %+v", d)
			}
		})
	}
}

// TestTokenIsMintedAnewIf less is granted when it is recorded than when it was
// signed: it has no more than what is granted then, although nobody named it.
func TestTokenIsMintedAnewIf(t *testing.T) {
	for what, c := range map[string]struct {
		happens agents.Change
		scopes  []agents.Scope
		lives   time.Duration
	}{
		"a scope was taken away":     {agents.Change{Scopes: []string{"b"}}, []agents.Scope{"b"}, 5 * time.Minute},
		"a scope was added":          {agents.Change{Scopes: []string{"a", "b", "c"}}, []agents.Scope{"a", "b"}, 5 * time.Minute},
		"its end was set":            {agents.Change{Expires: new(start.Add(time.Minute))}, []agents.Scope{"a", "b"}, time.Minute},
		"its lifetime was shortened": {agents.Change{TTL: new(time.Minute)}, []agents.Scope{"a", "b"}, time.Minute},
	} {
		t.Run(what, func(t *testing.T) {
			m := newMint(t, keys.Ed25519)
			m.add(registered)
			m.afterView = func() { m.set(c.happens) }
			minted, err := m.Mint(t.Context(), wanted)
			if err != nil {
				t.Fatal(err)
			}
			if text := tokenstest.Part(t, minted.Text.Reveal(), 1); !slices.Equal(minted.Scopes, c.scopes) || text["scope"] != agents.JoinScopes(c.scopes) {
				t.Errorf("it has %v and says %v, want %v", minted.Scopes, text["scope"], c.scopes)
			}
			if end := m.now.Add(c.lives).Truncate(time.Second); !minted.ID.Expires().Equal(end) {
				t.Errorf("it ends at %s, want %s", minted.ID.Expires(), end)
			}
			m.store.View(func(tx storage.Tx) error {
				if n, err := audit.Size(tx); n != 1 || err != nil {
					t.Errorf("%d events, %v", n, err)
				}
				e, err := audit.Get(tx, 0)
				if err != nil || e.Decision != audit.Allow || e.Details == nil || len(e.Details.Scopes) != len(c.scopes) || !e.Details.NotAfter.Equal(minted.ID.Expires()) {
					t.Errorf("recorded is %+v with %+v, %v", e, e.Details, err)
				}
				return nil
			})
		})
	}
}

func TestMintClaimThatFails(t *testing.T) {
	m := newMint(t, keys.Ed25519)
	m.add(registered)
	r := wanted
	r.Consume = func(storage.Tx) error { return policy.ErrDenied }
	if _, err := m.Mint(t.Context(), r); !errors.Is(err, policy.ErrDenied) {
		t.Errorf("got %v", err)
	}
	tokenstest.NothingMinted(t, m.DB, "a claim")
}

func TestMintWithoutAStore(t *testing.T) {
	m := newMint(t, keys.Ed25519)
	m.add(registered)
	m.afterView = func() { m.DB.Close() }
	if token, err := m.Mint(t.Context(), wanted); token != nil || !errors.Is(err, storage.ErrClosed) || policy.IsDenial(err) {
		t.Errorf("got %v, %v", token, err)
	}
}

// TestTokenRecord: what is kept recognizes the token and is not the token.
func TestTokenRecord(t *testing.T) {
	for _, algorithm := range keys.Algorithms() {
		m := newMint(t, algorithm)
		m.add(registered)
		minted, err := m.Mint(t.Context(), wanted)
		if err != nil {
			t.Fatal(err)
		}
		text := minted.Text.Reveal()
		want := tokens.Token{
			Credential: agents.Credential{ID: minted.ID, Agent: "bot", Issuer: tokenstest.Part(t, text, 0)["kid"].(string), IssuedAt: m.now}, Kind: tokens.AccessToken, Subject: "bot",
			Hash: sha256.Sum256([]byte(text)), Audiences: []string{"https://api.example"}, Scopes: []agents.Scope{"a", "b"},
		}
		err = m.DB.View(t.Context(), func(tx storage.Tx) error {
			if got, err := tokens.Get(tx, minted.ID); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, %v, want %+v", algorithm, got, err, want)
			}
			if in, err := m.Introspect(tx, text, m.now); !in.Active || err != nil {
				t.Errorf("%s: %+v, %v", algorithm, in, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if err := m.Backup(t.Context(), &file); err != nil {
			t.Fatal(err)
		}
		for _, secret := range strings.Split(text, ".")[1:] {
			if bytes.Contains(file.Bytes(), []byte(secret)) {
				t.Errorf("%s: the store holds the token", algorithm)
			}
		}
	}
}

func TestServiceMustBeWhole(t *testing.T) {
	m := newMint(t, keys.Ed25519)
	config := m.Config
	config.Keys = file.NewStore(t.TempDir(), file.NoPassphrase)
	if _, err := tokens.New(config); err == nil || !strings.Contains(err.Error(), "tokens key has no file") {
		t.Errorf("got %v", err)
	}
	m.store.Update(func(tx storage.Tx) error { return tx.Drop("keys") })
	if err := m.Reload(); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestIntrospectionComesFromTheRecord: whom a token is for, who acts and what it
// is bound to. A token ends with any of the agents that it speaks of.
func TestIntrospectionComesFromTheRecord(t *testing.T) {
	const records = storage.Partitioned[tokens.Token]("tokens")
	m := newMint(t, keys.Ed25519)
	m.add(registered)
	m.store.Add("other", agents.Change{})
	minted, err := m.Mint(t.Context(), wanted)
	if err != nil {
		t.Fatal(err)
	}
	record := minted.Token
	record.Subject, record.Actor = "other", "bot"
	record.Bound = &tokens.Binding{Kind: tokens.ToKey, Thumbprint: [32]byte{1}}
	m.store.Update(func(tx storage.Tx) error { return records.Put(tx, record.ID.Expires(), record.ID.Key(), record) })
	introspect := func() (in tokens.Introspection) {
		t.Helper()
		err := m.DB.View(t.Context(), func(tx storage.Tx) (err error) {
			in, err = m.Introspect(tx, minted.Text.Reveal(), m.now)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	got, err := json.Marshal(introspect())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"active":true`, `"token_type":"DPoP"`, `"sub":"spiffe://example.internal/agent/other"`, `"client_id":"bot"`,
		`"act":{"sub":"spiffe://example.internal/agent/bot"}`, `"cnf":{"jkt":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
	} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	m.store.Suspend("other")
	if introspect().Active {
		t.Error("it is active while the agent that it is for is suspended")
	}
}
