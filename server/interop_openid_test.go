package server_test

import (
	"bytes"
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
)

// TestOpenIDClientReachesEachKind has the OAuth library that most of JavaScript
// uses get, introspect and revoke tokens: of authorities too whose certificates
// its TLS cannot check, and of tokens whose signature it does not know.
func TestOpenIDClientReachesEachKind(t *testing.T) {
	const modules = "../bin/npm"
	if _, err := os.Stat(modules + "/node_modules/openid-client"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openid-client is missing: run make peers")
		}
		t.Skip("SKIPPED: openid-client is missing: run make peers")
	}
	node := newNode(t)
	for _, k := range kinds {
		t.Run(k.algorithm, func(t *testing.T) {
			t.Parallel()
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = k.algorithm })
			want := map[string]any{"issuer": w.URL, "type": "bearer", "scope": "read", "alg": "ES256", "before": true, "client": "reader", "after": false}
			if k.algorithm == "mldsa65" {
				postQuantumTokens(t, w, "mldsa65-ed25519-sha512")
				want["alg"] = "ML-DSA-65-Ed25519"
			}
			key := newKey(t)
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
	if _, err := w.Admin.RotateKeyTo(t.Context(), "tokens-pq", algorithm); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	text, err := os.ReadFile(w.File("brevet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.File("brevet.yaml"), append(text, "tokens: {post_quantum: [https://api.example]}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Start()
}
