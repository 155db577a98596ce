package tokens_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

const bankURL = "https://bank.example" // an audience that wants post-quantum signatures

// published returns the keys that resource servers are given, as they were
// written, by kid.
func (m *mint) published() map[string]json.RawMessage {
	m.t.Helper()
	var set tokens.KeySet
	err := m.DB.View(m.t.Context(), func(tx storage.Tx) (err error) {
		set, err = tokens.JWKS(tx, "", m.now)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	all := map[string]json.RawMessage{}
	for _, raw := range set.Keys {
		var key struct{ Kid string }
		if err := json.Unmarshal(raw, &key); err != nil {
			m.t.Fatal(err)
		}
		all[key.Kid] = raw
	}
	return all
}

func (m *mint) active(token string) (active bool) {
	m.t.Helper()
	err := m.DB.View(m.t.Context(), func(tx storage.Tx) error {
		in, err := m.Introspect(tx, token, m.now)
		active = in.Active
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return active
}

func for_(audiences ...string) tokens.Request {
	r := wanted
	r.Audiences = audiences
	return r
}

// TestPostQuantumTokens of every algorithm verify with what is published, and
// introspect; other audiences are not concerned.
func TestPostQuantumTokens(t *testing.T) {
	for name, alg := range tokenstest.PostQuantum() {
		t.Run(name, func(t *testing.T) {
			m := newHybridMint(t, keys.ECDSAP256, keys.Algorithm(alg.Flag()), bankURL)
			m.add(agents.Change{Scopes: []string{"a"}, Audiences: []string{bankURL, "https://api.example"}})
			minted, err := m.Mint(t.Context(), for_(bankURL))
			if err != nil {
				t.Fatal(err)
			}
			text := minted.Text.Reveal()
			header := tokenstest.Part(t, text, 0)
			if header["alg"] != name || header["typ"] != "at+jwt" || header["kid"] != minted.Issuer || len(header) != 3 {
				t.Errorf("header %v", header)
			}
			var jwk map[string]string
			if err := json.Unmarshal(m.published()[minted.Issuer], &jwk); err != nil {
				t.Fatal(err)
			}
			if jwk["kty"] != "AKP" || jwk["alg"] != name || jwk["use"] != "sig" || jwk["kid"] != minted.Issuer || len(jwk["pub"]) != b64url.EncodedLen(alg.PublicKeySize()) || len(jwk) != 5 {
				t.Errorf("published is %v", jwk)
			}
			if !tokenstest.Genuine(t, text, m.published()) || !m.active(text) {
				t.Error("it is not genuine, or not active")
			}
			t.Logf("the token has %d octets", len(text))
			classical, err := m.Mint(t.Context(), for_("https://api.example"))
			if err != nil || tokenstest.Part(t, classical.Text.Reveal(), 0)["alg"] != "ES256" {
				t.Errorf("for another audience: %v, %v", classical, err)
			}
			if !m.active(classical.Text.Reveal()) {
				t.Error("for another audience: not active")
			}
		})
	}
}

// TestAnotherFormIsNoDowngrade: an audience wants post-quantum signatures in whatever form
// of its URI it is registered or asked for.
func TestAnotherFormIsNoDowngrade(t *testing.T) {
	for _, registered := range []string{bankURL, bankURL + "/", bankURL + ":443", strings.ToUpper(bankURL)} {
		m := newHybridMint(t, keys.ECDSAP256, "mldsa44", bankURL)
		m.add(agents.Change{Scopes: []string{"a"}, Audiences: []string{registered}})
		for _, asked := range []string{bankURL, bankURL + "/", registered} {
			minted, err := m.Mint(t.Context(), for_(asked))
			if err != nil {
				t.Fatal(err)
			}
			text := minted.Text.Reveal()
			if alg, aud := tokenstest.Part(t, text, 0)["alg"], tokenstest.Part(t, text, 1)["aud"]; alg != "ML-DSA-44" || aud != registered || !m.active(text) {
				t.Errorf("%s, asked for as %s: signed with %v, for %v", registered, asked, alg, aud)
			}
		}
	}
}

// TestKeysForTokens: a key of the wrong kind signs nothing, wherever it comes
// from.
func TestKeysForTokens(t *testing.T) {
	for _, c := range []struct {
		classical, postQuantum keys.Algorithm
	}{
		{"mldsa65", ""}, {keys.ECDSAP256, keys.Ed25519}, {keys.ECDSAP256, "mldsa65-ecdsa-p256-sha512"},
	} {
		good := newMint(t, keys.ECDSAP256)
		config := good.Config
		store := catest.NewStore(t, func() time.Time { return start })
		store.Key(keys.Tokens, c.classical)
		store.Key(keys.TokensPQ, c.postQuantum)
		config.DB, config.Keys = store.DB, store.Keys
		if _, err := tokens.New(config); !errors.Is(err, agents.ErrInvalid) {
			t.Errorf("%s and %q: got %v", c.classical, c.postQuantum, err)
		}
	}
}

// TestTokenThatNobodyCouldIntrospect is not minted.
func TestTokenThatNobodyCouldIntrospect(t *testing.T) {
	m := newHybridMint(t, keys.ECDSAP256, "mldsa87", bankURL)
	var many []string
	for i := range 64 {
		many = append(many, strings.Repeat("s", 120)+fmt.Sprint(i))
	}
	m.add(agents.Change{Scopes: many, Audiences: []string{bankURL}})
	r := for_(bankURL)
	if token, err := m.Mint(t.Context(), r); !errors.Is(err, agents.ErrInvalid) || !policy.IsDenial(err) {
		t.Errorf("got %v, %v", token, err)
	}
	r.Scopes = []agents.Scope{agents.Scope(many[0])}
	minted, err := m.Mint(t.Context(), r)
	if err != nil || !m.active(minted.Text.Reveal()) {
		t.Errorf("got %v, %v", minted, err)
	}
}

// TestMixedAudiencesAreRecordedAsSuch by a code of their own.
func TestMixedAudiencesAreRecordedAsSuch(t *testing.T) {
	const api = "https://api.example"
	m := newHybridMint(t, keys.ECDSAP256, "mldsa44", bankURL)
	m.add(agents.Change{Scopes: []string{"read"}, Audiences: []string{bankURL, api}})
	if token, err := m.Mint(t.Context(), for_(bankURL, api)); token != nil || !errors.Is(err, tokens.ErrMixed) || !errors.Is(err, policy.ErrDenied) {
		t.Fatalf("got %v, %v", token, err)
	}
	events := m.store.Events()
	if e := events[len(events)-1]; e.Decision != audit.Deny || !slices.Equal(e.Details.Codes, []string{"audiences_mixed"}) {
		t.Errorf("recorded is %+v, %+v", e, e.Details)
	}
}
