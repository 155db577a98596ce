package oauth_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

// npmDir is where make peers puts jose and @noble, and a node that knows ML-DSA.
const npmDir = "../../bin/npm"

// elsewhere has a resource server in another language verify tokens for an
// audience, with one algorithm, and returns what it says of each.
func (w *world) elsewhere(audience, algorithm string, tokens ...string) []string {
	t := w.t
	t.Helper()
	platform := runtime.GOOS + "-" + strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
	program := filepath.Join(npmDir, "node_modules", "node-"+platform, "bin", "node")
	if _, err := os.Stat(program); err != nil {
		program = "node"
	}
	_, missing := os.Stat(filepath.Join(npmDir, "node_modules", "jose"))
	if _, err := exec.LookPath(program); err != nil || missing != nil {
		peer.Missing(t, "node, or jose or @noble from npm, is missing: run make peers")
	}
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, []byte(w.Get(w.Client(), "/roots.pem")), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := exec.CommandContext(t.Context(), program, "testdata/verify.mjs", npmDir, w.URL, audience, algorithm)
	verify.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+roots)
	verify.Stdin = strings.NewReader(strings.Join(tokens, "\n"))
	var stderr bytes.Buffer
	verify.Stderr = &stderr
	out, err := verify.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != len(tokens) {
		t.Fatalf("%v, %s\n%s", err, out, stderr.String())
	}
	return lines
}

// TestOthersVerifyTokens of the real server, post-quantum and ES256 ones out of
// one set of keys, and refuse what was changed.
func TestOthersVerifyTokens(t *testing.T) {
	for algorithm, alg := range map[string]string{"mldsa65": "ML-DSA-65", "mldsa65-ed25519-sha512": "ML-DSA-65-Ed25519"} {
		t.Run(alg, func(t *testing.T) {
			w := newPostQuantumWorld(t, algorithm)
			both := w.Enroll("both", agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL, bankURL}})
			token, classical := w.token(both, "resource", bankURL), w.token(both, "resource", apiURL)
			parts := strings.Split(token, ".")
			i := len(token) - 2000
			flipped := token[:i] + map[bool]string{true: "A", false: "B"}[token[i] != 'A'] + token[i+1:]
			bad := []string{flipped, tokenstest.Saying(t, token, "ML-DSA-44"), tokenstest.Saying(t, token, "ES256"), tokenstest.Saying(t, token, "none"), parts[0] + "." + parts[1] + ".", classical}
			for i, got := range w.elsewhere(bankURL, alg, append(bad, token)...) {
				if i < len(bad) && !strings.HasPrefix(got, "refused: ") {
					t.Errorf("bad token %d: %s", i, got)
				}
				if i == len(bad) {
					isFor(t, got, token)
				}
			}
			isFor(t, w.elsewhere(apiURL, "ES256", classical)[0], classical)
			if got := w.elsewhere(bankURL, "ML-DSA-44", token, tokenstest.Saying(t, token, "ML-DSA-44")); !strings.HasPrefix(got[0], "refused: ") || !strings.HasPrefix(got[1], "refused: ") {
				t.Errorf("by who wants ML-DSA-44: %s", got)
			}
		})
	}
}

// isFor checks that what was said of a token are its claims.
func isFor(t *testing.T, said, token string) {
	t.Helper()
	var claims map[string]any
	if err := json.Unmarshal([]byte(said), &claims); err != nil || claims["client_id"] != "both" || claims["jti"] != tokenstest.Part(t, token, 1)["jti"] {
		t.Errorf("of a good token of %v: %s", tokenstest.Part(t, token, 0)["alg"], said)
	}
}
