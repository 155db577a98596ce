package oauth_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

const bankURL = "https://bank.example" // an audience that wants post-quantum signatures

// TestAlgorithmFollowsTheAudience, whoever asks and however: nothing classical
// is ever signed for an audience that wants post-quantum signatures.
func TestAlgorithmFollowsTheAudience(t *testing.T) {
	const second = "urn:example:vault"
	all := []string{bankURL, "https://api.example", second, "https://web.example"}
	for what, c := range map[string]struct {
		has, asks []string
		want      string // algorithm, or error code
		no        bool   // there is no key
	}{
		"the only one it has":                {[]string{bankURL}, nil, "ML-DSA-65", false},
		"one that wants it":                  {all, []string{bankURL}, "ML-DSA-65", false},
		"two that want it":                   {all, []string{second, bankURL}, "ML-DSA-65", false},
		"the same twice":                     {all, []string{bankURL, bankURL}, "ML-DSA-65", false},
		"one that does not":                  {all, []string{"https://web.example"}, "ES256", false},
		"two that do not":                    {all, []string{"https://web.example", "https://api.example"}, "ES256", false},
		"the authority":                      {all, []string{"the authority"}, "ES256", false},
		"both kinds":                         {all, []string{bankURL, "https://api.example"}, "invalid_target", false},
		"both kinds, in another order":       {all, []string{"https://api.example", second, bankURL}, "invalid_target", false},
		"without a key, one that wants it":   {all, []string{bankURL}, "temporarily_unavailable", true},
		"without a key, the only one":        {[]string{bankURL}, nil, "temporarily_unavailable", true},
		"without a key, one that does not":   {all, []string{"https://api.example"}, "ES256", true},
		"without a key, one not granted":     {[]string{second}, []string{bankURL}, "invalid_target", true},
		"without a key, both kinds":          {all, []string{bankURL, "https://api.example"}, "invalid_target", true},
		"one that differs only in its slash": {append(all, bankURL+"/"), []string{bankURL + "/"}, "ML-DSA-65", false},
	} {
		t.Run(what, func(t *testing.T) {
			alg := keys.Algorithm("mldsa65")
			if c.no {
				alg = ""
			}
			m := newAlone(t, alg, bankURL, second)
			key := newKey(t)
			change := agents.Change{Scopes: []string{"a"}, Audiences: c.has, Keys: []string{publicPEM(t, &key.PublicKey)}}
			if slices.Equal(c.asks, []string{"the authority"}) {
				change.Scopes, c.asks = []string{"brevet:introspect"}, []string{"https://ca.example"}
			}
			m.add(change)
			f := asserting(m.assertion(key), "grant_type", "client_credentials")
			f["resource"] = c.asks
			w := m.ask(f)
			var answer map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			if token, ok := answer["access_token"].(string); ok {
				if got := tokenstest.Part(t, token, 0)["alg"]; got != c.want {
					t.Errorf("got %v, want %s", got, c.want)
				}
				return
			}
			if answer["error"] != c.want || (w.Code == http.StatusServiceUnavailable) != (c.want == "temporarily_unavailable") {
				t.Errorf("got %d %v, want %s", w.Code, answer, c.want)
			}
			tokenstest.NothingMinted(t, m.DB, what)
		})
	}
}

// TestKeysOfOneAlgorithm: those who ask for one are given no other.
func TestKeysOfOneAlgorithm(t *testing.T) {
	m := newAlone(t, "mldsa44", bankURL)
	for path, want := range map[string]int{"/oauth/jwks": 2, "/oauth/jwks?alg=": 2, "/oauth/jwks?alg=ES256": 1, "/oauth/jwks?alg=ML-DSA-44": 1, "/oauth/jwks?alg=EdDSA": 0, "/oauth/jwks?alg=ML-DSA-44-Ed25519": 0} {
		if got := m.published(path); got != want {
			t.Errorf("%s: %d keys, want %d", path, got, want)
		}
		if path == "/oauth/jwks?alg=ES256" && strings.Contains(m.served(path).Body.String(), "AKP") {
			t.Errorf("%s has the other key", path)
		}
	}
	if w := m.served("/oauth/jwks?alg=none"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "ES256") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
