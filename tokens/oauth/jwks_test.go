package oauth_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// TestMetadataFollowsTheKeys: relying parties refuse algorithms that the document does not
// name, so it names those of all keys that are published.
func TestMetadataFollowsTheKeys(t *testing.T) {
	w := newWorld(t)
	want := func(what string, names ...any) {
		t.Helper()
		if got := w.served("/.well-known/openid-configuration")["id_token_signing_alg_values_supported"]; !reflect.DeepEqual(got, names) {
			t.Errorf("%s: %v, want %v", what, got, names)
		}
	}
	rotate := func(rotate func(context.Context, string, string) (api.Rotated, error), purpose, algorithm string) {
		t.Helper()
		if _, err := rotate(t.Context(), purpose, algorithm); err != nil {
			t.Fatal(err)
		}
	}
	want("at first", "ES256")
	rotate(w.Admin.RotateKeyTo, "tokens", "ed25519")
	want("with a key announced", "ES256", "EdDSA")
	rotate(w.Admin.RotateKeyNow, "tokens", "ed25519")
	want("when it signs", "EdDSA", "ES256")
	rotate(w.Admin.RotateKeyNow, "tokens-pq", "mldsa65")
	want("with two kinds", "EdDSA", "ML-DSA-65", "ES256")
	w.Clock.Advance(66 * time.Minute)
	want("when the old key is gone", "EdDSA", "ML-DSA-65")
}

// TestRetiredKeyLeavesTheJWKS once the last token that it signed is dead, and
// not before.
func TestRetiredKeyLeavesTheJWKS(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Admin.RotateKeyNow(t.Context(), "tokens", ""); err != nil {
		t.Fatal(err)
	}
	want := func(n int) {
		t.Helper()
		if got := len(w.served("/oauth/jwks")["keys"].([]any)); got != n {
			t.Errorf("%d keys are published, want %d", got, n)
		}
	}
	want(2)
	w.Clock.Advance(59 * time.Minute)
	want(2)
	w.Clock.Advance(7 * time.Minute)
	want(1)
}
