// Package tokenstest takes tokens apart, changes them and verifies them, for tests.
package tokenstest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

// Part decodes the header (0) or the payload (1) of a JWT.
func Part(t testing.TB, token string, i int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Saying returns the token with another algorithm in its header.
func Saying(t testing.TB, token, alg string) string {
	t.Helper()
	header := Part(t, token, 0)
	header["alg"] = alg
	b, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(token, ".")
	return base64.RawURLEncoding.EncodeToString(b) + "." + rest
}

// Genuine verifies a token as a resource server does: with the key that the token
// names, if that is for the algorithm that the token names.
func Genuine(t testing.TB, token string, published map[string]json.RawMessage) bool {
	t.Helper()
	parts := strings.Split(token, ".")
	var header struct{ Alg, Kid string }
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(decoded[0], &header); err != nil {
		t.Fatal(err)
	}
	key, err := pqc.ParseJWK(published[header.Kid])
	return err == nil && key.VerifyJWS(header.Alg, []byte(parts[0]+"."+parts[1]), decoded[2])
}

// PostQuantum are the post-quantum algorithms that keys and tokens may have, by their
// names in JOSE.
func PostQuantum() map[string]pqc.Algorithm {
	all := map[string]pqc.Algorithm{}
	for _, a := range pqc.Algorithms() {
		if a.JOSE() != "" {
			all[a.JOSE()] = a
		}
	}
	return all
}

// NothingMinted checks that the refusal of a token for the agent bot left its event in
// the store and nothing else.
func NothingMinted(t testing.TB, db storage.DB, what string) {
	t.Helper()
	err := db.View(t.Context(), func(tx storage.Tx) error {
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
