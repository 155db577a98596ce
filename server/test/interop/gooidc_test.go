package interop_test

import (
	"net/url"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestGoOIDCAfterRotations: the library that most of Go uses takes no token whose algorithm
// the metadata does not name. It verifies tokens after a rotation to each algorithm, and
// tokens from before the rotation, too.
func TestGoOIDCAfterRotations(t *testing.T) {
	const api = "https://api.example"
	w := servertest.New(t)
	a := w.Enroll("reader", agents.Change{Scopes: []string{"read"}, Audiences: []string{api}})
	token := func() string {
		got := a.Token(url.Values{})
		text, _ := got.JSON["access_token"].(string)
		if text == "" {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		return text
	}
	before := token()
	for _, algorithm := range keys.Algorithms() {
		if _, err := w.Admin.RotateKeyNow(t.Context(), "tokens", string(algorithm)); err != nil {
			t.Fatal(err)
		}
		ctx := oidc.ClientContext(t.Context(), w.Client())
		provider, err := oidc.NewProvider(ctx, w.URL)
		if err != nil {
			t.Fatal(err)
		}
		now := token()
		for what, text := range map[string]string{"before": before, "after": now} {
			got, err := provider.Verifier(&oidc.Config{ClientID: api, Now: w.Clock.Now}).Verify(ctx, text)
			if err != nil || got.Subject != "spiffe://"+servertest.TrustDomain+"/agent/reader" {
				t.Errorf("a token of %s the rotation to %s: %+v, %v", what, algorithm, got, err)
			}
		}
		before = now
	}
}
