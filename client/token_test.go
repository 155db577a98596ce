package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/pqc/jose"
)

func TestTokenIsBoundToTheCertificate(t *testing.T) {
	a := newAuthority(t)
	id := a.enroll(t, t.TempDir())
	before := time.Now()
	tok, err := id.Token(t.Context(), TokenRequest{Scopes: []string{"repo:read", "repo:write"}, Audiences: []string{"https://api.example", "https://git.example"}})
	check(t, err)
	if want := "." + fingerprint(id.Certificate()).String() + ".https://api.example.https://git.example"; !strings.HasSuffix(tok.Reveal(), want) {
		t.Errorf("the token is %s, want one that ends with %s", tok.Reveal(), want)
	}
	if !slices.Equal(tok.Scopes, []string{"repo:read", "repo:write"}) {
		t.Errorf("scopes are %q", tok.Scopes)
	}
	if life := tok.Expires.Sub(before); life < a.life-time.Second || life > a.life+time.Second {
		t.Errorf("it lives %s, want %s", life, a.life)
	}
}

func TestAssertionTakesThePlaceOfTheCertificate(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	id := a.enroll(t, dir)
	for range 2 { // each assertion is another
		tok, err := id.Token(t.Context(), TokenRequest{Assertion: true})
		check(t, err)
		if !strings.Contains(tok.Reveal(), ".-.") {
			t.Errorf("the token %s is bound to a certificate", tok.Reveal())
		}
	}
	check(t, a.load(t, dir).Renew(t.Context()))
	if _, err := id.Token(t.Context(), TokenRequest{Assertion: true}); err != nil {
		t.Errorf("after another process renewed: %v", err)
	}
}

func TestAssertionAlgorithms(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(nil)
	check(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	keys := map[string]crypto.Signer{"EdDSA": ed, "": small}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		keys[alg], err = ecdsa.GenerateKey(curve, rand.Reader)
		check(t, err)
	}
	for want, key := range keys {
		text, err := assertion(key, "bot", "https://a.example", time.Now())
		if (err == nil) != (want != "") {
			t.Errorf("%T: got %v, want %q", key, err, want)
		}
		if err != nil {
			continue
		}
		signed, err := jose.ParseCompact(text)
		check(t, err)
		if signed.Algorithm != want || !signed.Verify(key.Public()) {
			t.Errorf("%T: got %s, want %s", key, signed.Header, want)
		}
	}
}

func TestTokenRefusal(t *testing.T) {
	a := newAuthority(t)
	id := a.enroll(t, t.TempDir())
	_, err := id.Token(t.Context(), TokenRequest{Scopes: []string{"forbidden"}})
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != "invalid_scope" || refused.Status != 400 ||
		err.Error() != "getting an access token: "+a.url+" refused: invalid_scope: scope is not granted to this agent (400)" {
		t.Errorf("got %v", err)
	}
	a.revoke()
	if _, err := id.Token(t.Context(), TokenRequest{}); !errors.As(err, &refused) || refused.Code != "invalid_client" {
		t.Errorf("got %v", err)
	}
}

func TestBadTokenAnswers(t *testing.T) {
	good := map[string]any{"access_token": "sEcReT", "token_type": "Bearer", "expires_in": 300, "scope": "a b"}
	for name, change := range map[string]map[string]any{
		"no token": {"access_token": ""}, "a token in two lines": {"access_token": "sEcReT\r\nX: y"}, "a token with a space": {"access_token": "sEcReT x"},
		"another type": {"token_type": "DPoP"}, "no type": {"token_type": ""},
		"no end": {"expires_in": 0}, "an end before now": {"expires_in": -300}, "an end out of bounds": {"expires_in": int64(1) << 62}, "text for an end": {"expires_in": "300"},
	} {
		doc := map[string]any{}
		for _, m := range []map[string]any{good, change} {
			for k, v := range m {
				doc[k] = v
			}
		}
		body, err := json.Marshal(doc)
		check(t, err)
		if tok, err := parseToken(body, time.Now()); err == nil || strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("%s: got %v, %v", name, tok, err)
		}
	}
	body, err := json.Marshal(good)
	check(t, err)
	_, err = parseToken(body, time.Now())
	check(t, err)
}

func TestSecretsAreNotPrinted(t *testing.T) {
	secret := NewSecret("hunter2")
	tok := &Token{Secret: secret}
	config := EnrollConfig{Token: secret}
	var out bytes.Buffer
	for _, v := range []any{secret, &secret, tok, *tok, config, &config, []any{tok}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		check(t, json.NewEncoder(&out).Encode(v))
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	}
	if text := out.String(); strings.Contains(text, "hunter2") || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", "hunter2")) || !strings.Contains(text, "[hidden]") {
		t.Errorf("printed: %s", text)
	}
	if secret.Reveal() != "hunter2" || tok.Reveal() != "hunter2" {
		t.Error("Reveal does not return the secret")
	}
}

// inBubble runs f with an authority and an identity of it under fake time.
func inBubble(t *testing.T, f func(*testing.T, *authority, *Identity)) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		f(t, a, a.enroll(t, t.TempDir()))
	})
}

func TestTokenSourceKeepsATokenForTwoThirds(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority, id *Identity) {
		s := id.TokenSource(TokenRequest{})
		first, err := s.Token(t.Context())
		check(t, err)
		time.Sleep(a.life*2/3 - 2*time.Second)
		if again, err := s.Token(t.Context()); err != nil || again != first {
			t.Errorf("a token with a third of its life left was replaced (%v)", err)
		}
		time.Sleep(2 * time.Second)
		if next, err := s.Token(t.Context()); err != nil || next == first {
			t.Errorf("a token near its end was not replaced (%v)", err)
		}
		if n := a.log.count("/oauth/token"); n != 2 {
			t.Errorf("%d tokens were asked for", n)
		}
	})
}

func TestTokenSourceFollowsTheCertificate(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority, id *Identity) {
		bound, free := id.TokenSource(TokenRequest{}), id.TokenSource(TokenRequest{Assertion: true})
		oldBound, err := bound.Token(t.Context())
		check(t, err)
		oldFree, err := free.Token(t.Context())
		check(t, err)
		check(t, id.Renew(t.Context()))
		if tok, err := bound.Token(t.Context()); err != nil || tok == oldBound || !strings.Contains(tok.Reveal(), fingerprint(id.Certificate()).String()) {
			t.Errorf("the token is for the certificate that was replaced (%v)", err)
		}
		if tok, err := free.Token(t.Context()); err != nil || tok != oldFree {
			t.Errorf("a token that is bound to no certificate was replaced (%v)", err)
		}
	})
}

func TestTokenSourceAsksOnceForMany(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority, id *Identity) {
		answer := make(chan struct{})
		a.breakPath("/oauth/token", func(w http.ResponseWriter, r *http.Request) {
			<-answer
			w.Write([]byte(`{"access_token":"x","token_type":"Bearer","expires_in":300}`))
		})
		s := id.TokenSource(TokenRequest{Assertion: true})
		impatient, cancel := context.WithCancel(t.Context())
		go s.Token(impatient) // begins the request, and gives up
		synctest.Wait()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if tok, err := s.Token(t.Context()); err != nil || tok.Reveal() != "x" {
					t.Errorf("got %v, %v", tok, err)
				}
			})
		}
		cancel()
		synctest.Wait()
		close(answer)
		wg.Wait()
		if n := a.log.count("/oauth/token"); n != 1 {
			t.Errorf("%d requests for 50 callers", n)
		}
	})
}

func TestTokenSourceOutlastsAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority, id *Identity) {
		id.TTL = time.Hour
		check(t, id.Renew(t.Context()))
		s := id.TokenSource(TokenRequest{Assertion: true})
		first, err := s.Token(t.Context())
		check(t, err)
		a.breakPath("/oauth/token", oauthError(503, "temporarily_unavailable", "try again shortly"))
		for time.Now().Before(first.Expires) {
			if tok, err := s.Token(t.Context()); err != nil || tok != first {
				t.Fatalf("%s before its end the token is not given out: %v", time.Until(first.Expires), err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := a.log.count("/oauth/token"); n < 5 || n > 20 {
			t.Errorf("%d requests during an outage of 100 s", n)
		}
		var refused *Error
		if _, err := s.Token(t.Context()); !errors.As(err, &refused) || refused.Code != "temporarily_unavailable" {
			t.Errorf("after the token's end: %v", err)
		}
	})
}

// TestTokensAreKeptFresh is what brevet client run does.
func TestTokensAreKeptFresh(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority, id *Identity) {
		stop := start(t, id, func(err error) { check(t, err) })
		var mu sync.Mutex
		var tok *Token
		failures := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- id.TokenSource(TokenRequest{}).Run(ctx, func(next *Token, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failures++
					return
				}
				tok = next
			})
		}()
		for minute := range 60 {
			if minute == 30 {
				a.breakPath("/oauth/token", oauthError(503, "temporarily_unavailable", ""))
			}
			if minute == 40 {
				a.breakPath("/oauth/token", nil)
			}
			time.Sleep(time.Minute)
			mu.Lock()
			fits := tok != nil && time.Until(tok.Expires) > 0 && tok.bound == fingerprint(id.Certificate())
			mu.Unlock()
			if !fits && (minute < 30 || minute > 40) {
				t.Errorf("in minute %d there is no token for the certificate", minute)
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || failures < 10 || failures > 40 {
			t.Errorf("Run returned %v after %d failures", err, failures)
		}
		stop()
		if n := a.log.count("/oauth/token"); n > 100 {
			t.Errorf("%d tokens were asked for in an hour", n)
		}
	})
}

// TestATokenEndsWithTheRootsUnderWhichItCame: a thief of a former root's key may have made it up.
func TestATokenEndsWithTheRootsUnderWhichItCame(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority, id *Identity) {
		s := id.TokenSource(TokenRequest{Assertion: true})
		first, err := s.Token(t.Context())
		check(t, err)
		now := *id.trust.Load()
		id.trust.Store(&now)
		if next, err := s.Token(t.Context()); err != nil || next == first {
			t.Errorf("the token is given out under other roots (%v)", err)
		}
	})
}
