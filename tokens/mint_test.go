package tokens_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/storage/keys/file"
	"github.com/brevet-ca/brevet/tokens"
)

const td = catest.TrustDomain

var start = catest.Start

// A mint is a service without a server. What afterView does, happens between
// the decision to mint and its recording.
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
		DB: m, Keys: m.store.Keys, TrustDomain: td, Issuer: "https://ca.example/", Clock: m.store.Clock(), Log: slog.New(slog.DiscardHandler),
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

func (m *mint) suspend() { m.store.Suspend("bot") }

var wanted = tokens.Request{Request: policy.Request{Actor: "test"}, Agent: "bot", Proof: "a test"}

// nothingMinted checks that a refusal left its event and nothing else.
func (m *mint) nothingMinted(t *testing.T, what string) {
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

var registered = agents.Change{Scopes: []string{"a", "b"}, Audiences: []string{"https://api.example"}}

func TestTokenIsThrownAwayIf(t *testing.T) {
	for what, c := range map[string]struct {
		happens func(*mint)
		want    error
	}{
		"the agent was suspended": {func(m *mint) { m.suspend() }, agents.ErrRevoked},
		"it was suspended and resumed": {func(m *mint) {
			m.suspend()
			m.store.Update(func(tx storage.Tx) error { _, err := agents.Resume(tx, "bot", m.now); return err })
		}, agents.ErrRevoked},
		"its owner was cut off": {func(m *mint) {
			m.store.Update(func(tx storage.Tx) error { return agents.CutOwner(tx, "team", agents.Cutoff{At: m.now}) })
		}, agents.ErrRevoked},
		"a scope was taken away":     {func(m *mint) { m.set(agents.Change{Scopes: []string{"b"}}) }, policy.ErrScope},
		"the audience was taken":     {func(m *mint) { m.set(agents.Change{Audiences: []string{"https://web.example"}}) }, policy.ErrAudience},
		"its end was set":            {func(m *mint) { m.set(agents.Change{Expires: new(m.now.Add(time.Minute))}) }, agents.ErrInvalid},
		"its lifetime was shortened": {func(m *mint) { m.set(agents.Change{TTL: new(time.Minute)}) }, agents.ErrInvalid},
	} {
		t.Run(what, func(t *testing.T) {
			m := newMint(t, keys.Ed25519)
			m.add(registered)
			m.afterView = func() { c.happens(m) }
			r := wanted
			r.Scopes, r.Audiences = []agents.Scope{"a"}, []string{"https://api.example"}
			if token, err := m.Mint(t.Context(), r); !errors.Is(err, c.want) || !policy.IsDenial(err) {
				t.Errorf("got %v, %v, want %v", token, err, c.want)
			}
			m.nothingMinted(t, what)
		})
	}
}

func TestMintClaimThatFails(t *testing.T) {
	m := newMint(t, keys.Ed25519)
	m.add(registered)
	r := wanted
	r.Claim = func(storage.Tx) error { return policy.ErrDenied }
	if _, err := m.Mint(t.Context(), r); !errors.Is(err, policy.ErrDenied) {
		t.Errorf("got %v", err)
	}
	m.nothingMinted(t, "a claim")
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
			Credential: agents.Credential{ID: minted.ID, Agent: "bot", Issuer: part(t, text, 0)["kid"].(string), IssuedAt: m.now},
			Hash:       sha256.Sum256([]byte(text)), Audiences: []string{"https://api.example"}, Scopes: []agents.Scope{"a", "b"},
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

func someTokens(t testing.TB) (all []tokens.Token) {
	t.Helper()
	id, err := agents.NewCredentialID(start)
	if err != nil {
		t.Fatal(err)
	}
	c := agents.Credential{ID: id, Agent: "bot", Issuer: "00ff", IssuedAt: start}
	plain := tokens.Token{Credential: c, Hash: [32]byte{1}, Audiences: []string{"https://api.example", "https://web.example"}, Scopes: []agents.Scope{"a", "b"}}
	bound := plain
	bound.Bound = &tokens.Binding{Certificate: c, Thumbprint: [32]byte{2}}
	return []tokens.Token{plain, bound}
}

func TestTokenRecordIsReadWhole(t *testing.T) {
	all := someTokens(t)
	var ends []int
	for _, token := range all {
		whole, err := token.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got tokens.Token
		if err := got.UnmarshalBinary(whole); err != nil || !reflect.DeepEqual(got, token) {
			t.Errorf("got %+v, %v, want %+v", got, err, token)
		}
		for n := range whole {
			unbound := len(ends) > 0 && n == ends[0] // is a whole record by itself
			if err := got.UnmarshalBinary(whole[:n]); (err == nil) != unbound {
				t.Errorf("cut off after %d octets of %d: %v", n, len(whole), err)
			}
		}
		if err := got.UnmarshalBinary(append(whole, 0)); err == nil {
			t.Error("an octet more is accepted")
		}
		whole[0] = 2
		if err := got.UnmarshalBinary(whole); err == nil || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("of another version: %v", err)
		}
		ends = append(ends, len(whole))
	}
}

func FuzzTokenRecord(f *testing.F) {
	for _, token := range someTokens(f) {
		b, err := token.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var token tokens.Token
		if err := token.UnmarshalBinary(b); err != nil {
			return
		}
		again, err := token.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var same tokens.Token
		if err := same.UnmarshalBinary(again); err != nil || !reflect.DeepEqual(same, token) {
			t.Errorf("%x was read as %+v; that, written and read, is %+v, %v", b, token, same, err)
		}
	})
}

func TestServiceMustBeWhole(t *testing.T) {
	m := newMint(t, keys.Ed25519)
	config := m.Config
	if config.Issuer != "https://ca.example" {
		t.Errorf("the issuer keeps its slash: %s", config.Issuer)
	}
	config.Keys = file.NewStore(t.TempDir(), file.NoPassphrase)
	if _, err := tokens.New(config); err == nil || !strings.Contains(err.Error(), "tokens key has no file") {
		t.Errorf("got %v", err)
	}
	m.store.Update(func(tx storage.Tx) error { return tx.Drop("keys") })
	if err := m.Reload(); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
