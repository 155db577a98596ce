package oauth_test

import (
	"testing"
	"time"
)

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
