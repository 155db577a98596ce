package interop_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"reflect"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestOpenIDClientReachesEachKind has the OAuth library that most of JavaScript
// uses get, introspect and revoke tokens: of authorities too whose certificates
// its TLS cannot check, and of tokens whose signature it does not know.
func TestOpenIDClientReachesEachKind(t *testing.T) {
	const modules = "../../../bin/npm"
	if _, err := os.Stat(modules + "/node_modules/openid-client"); err != nil {
		peer.Missing(t, "openid-client is missing: run make peers")
	}
	node := newNode(t)
	for _, algorithm := range []string{"ecdsa-p256", "ecdsa-p256+mldsa65", "mldsa65", "mldsa65-ecdsa-p256-sha512", "mldsa44-ed25519-sha512"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = algorithm })
			want := map[string]any{"issuer": w.URL, "type": "bearer", "scope": "read", "alg": "ES256", "before": true, "client": "reader", "after": false}
			if algorithm == "mldsa65" {
				postQuantumTokens(t, w, "mldsa65-ed25519-sha512")
				want["alg"] = "ML-DSA-65-Ed25519"
			}
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			public, err := x509.MarshalPKIXPublicKey(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			w.Add("reader", agents.Change{
				Scopes: []string{"read", "brevet:introspect"}, Audiences: []string{"https://api.example"},
				Keys: []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))},
			})
			d := t.TempDir()
			keyFile, roots := saveFile(t, d, "key.pem", privatePEM(t, key)), saveFile(t, d, "roots.pem", []byte(w.Get(w.Client(), "/roots.pem")))
			cmd := exec.CommandContext(t.Context(), node, "testdata/openid.mjs", modules, w.URL, "reader", keyFile, "https://api.example")
			cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+roots)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.Bytes())
			}
			var got map[string]any
			if err := json.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %s, want %v", out, want)
			}
		})
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
