package interop_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// npmModules is where make peers puts the modules from npm.
const npmModules = "../../../bin/npm"

// runNode runs a program in testdata with a module from npm against an authority, for an
// agent with a key, and returns what it prints.
func runNode(t *testing.T, w *servertest.World, program, module, agent string, key any, args ...string) []byte {
	t.Helper()
	cmd, stderr := nodeCommand(t, w, program, module, agent, key, args...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	return out
}

func nodeCommand(t *testing.T, w *servertest.World, program, module, agent string, key any, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	if _, err := os.Stat(npmModules + "/node_modules/" + module); err != nil {
		peer.Missing(t, module+" is missing: run make peers")
	}
	d := t.TempDir()
	roots := saveFile(t, d, "roots.pem", []byte(w.Get(w.Client(), "/roots.pem")))
	cmd = exec.CommandContext(t.Context(), newNode(t), append([]string{"testdata/" + program, npmModules, w.URL, agent, saveFile(t, d, "key.pem", privatePEM(t, key))}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+roots)
	stderr = new(bytes.Buffer)
	cmd.Stderr = stderr
	return cmd, stderr
}

// newKeys returns keys by their algorithm in JOSE, and their public halves in PEM.
func newKeys(t *testing.T) (private map[string]crypto.Signer, public []string) {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	private = map[string]crypto.Signer{"ES256": p256, "Ed25519": ed}
	for _, k := range private {
		der, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		public = append(public, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	}
	return private, public
}

// TestOpenIDClientReachesEachKind has the OAuth library that most of JavaScript uses get,
// introspect and revoke tokens, and show why it is refused: of authorities too whose
// certificates its TLS cannot check, and of tokens whose signature it does not know.
func TestOpenIDClientReachesEachKind(t *testing.T) {
	for algorithm, alg := range map[string]string{
		"ecdsa-p256": "Ed25519", "ecdsa-p256+mldsa65": "ES256", "mldsa65": "ES256", "mldsa65-ecdsa-p256-sha512": "Ed25519", "mldsa44-ed25519-sha512": "ES256",
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = algorithm })
			want := map[string]any{
				"issuer": w.URL, "type": "bearer", "scope": "read", "alg": "ES256", "before": true, "client": "reader", "after": false,
				"endpoint": "invalid_client: client authentication failed: the assertion's aud must be " + w.URL + " and nothing else",
				"unknown":  "invalid_client: client authentication failed: use private_key_jwt with a key of this agent, or a current client certificate",
			}
			if algorithm == "mldsa65" {
				postQuantumTokens(t, w, "mldsa65-ed25519-sha512")
				want["alg"] = "ML-DSA-65-Ed25519"
			}
			private, public := newKeys(t)
			w.Add("reader", agents.Change{Scopes: []string{"read", "brevet:introspect"}, Audiences: []string{"https://api.example"}, Keys: public})
			out := runNode(t, w, "openid.mjs", "openid-client", "reader", private[alg], "https://api.example", alg)
			var got map[string]any
			if err := json.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %s, want %v", out, want)
			}
		})
	}
}

// TestOAuth4WebAPI gets a token with an Ed25519 key, whose algorithm it calls by its new
// name (RFC 9864), and checks it as a resource server. The resource has the slash that URL
// classes add.
func TestOAuth4WebAPI(t *testing.T) {
	w := servertest.New(t)
	private, public := newKeys(t)
	w.Add("reader", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example/"}, Keys: public})
	out := runNode(t, w, "oauth4webapi.mjs", "oauth4webapi", "reader", private["Ed25519"], "https://api.example/")
	if got, want := strings.TrimSpace(string(out)), "spiffe://"+servertest.TrustDomain+"/agent/reader https://api.example/ read"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// postQuantumTokens has tokens for https://api.example signed with algorithm.
func postQuantumTokens(t *testing.T, w *servertest.World, algorithm string) {
	t.Helper()
	if _, err := w.Admin.RotateKeyNow(t.Context(), "tokens-pq", algorithm); err != nil {
		t.Fatal(err)
	}
	w.Configure("tokens: {post_quantum: [https://api.example]}\n")
}
