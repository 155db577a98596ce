package interop_test

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// newNode returns the Node.js that make peers fetches from npm if the machine's
// own has an OpenSSL from before 3.5, which knows no ML-DSA.
func newNode(t *testing.T) string {
	t.Helper()
	own, err := filepath.Abs("../../../bin/npm/node_modules/node-" + runtime.GOOS + "-" + strings.Replace(runtime.GOARCH, "amd64", "x64", 1) + "/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(own); err == nil {
		return own
	}
	peer.Find(t, "node")
	if version := servertest.Run(t, true, "node", "-p", "parseFloat(process.versions.openssl) >= 3.5"); strings.TrimSpace(version) != "true" {
		peer.Missing(t, "node has an OpenSSL that knows no ML-DSA: make peers fetches another")
	}
	return "node"
}

// TestStockTLSAndEachKind has two TLS peers, with an OpenSSL that knows ML-DSA,
// show agents' certificates to each other, and sees which can verify them.
// A rehearsal knows it beforehand, from what their TLS offers.
func TestStockTLSAndEachKind(t *testing.T) {
	node := newNode(t)
	for algorithm, want := range map[string]string{
		"ecdsa-p256":                "authorized TLSv1.3",
		"ecdsa-p256+mldsa65":        "authorized TLSv1.3",
		"mldsa44":                   "authorized TLSv1.3",
		"mldsa65":                   "authorized TLSv1.3",
		"mldsa87":                   "authorized TLSv1.3",
		"mldsa65-ecdsa-p256-sha512": "ERR_SSL_CA_MD_TOO_WEAK",
		"mldsa44-ed25519-sha512":    "ERR_SSL_CA_MD_TOO_WEAK",
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = algorithm })
			a := w.Enroll("reader", agents.Change{})
			d := t.TempDir()
			roots := []byte(w.Get(w.Client(), "/roots.pem"))
			cert, keyFile := saveAgent(t, d, a)
			out := servertest.Run(t, true, node, "testdata/peers.mjs", cert, keyFile, saveFile(t, d, "root.pem", agentsRoot(t, w, roots)), "reader."+servertest.TrustDomain,
				w.URL+"/chain.pem", saveFile(t, d, "roots.pem", roots))
			got := strings.TrimSpace(out)
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			// Its requests and offers foretell how it takes the same again.
			r, err := w.Admin.DryRunKey(t.Context(), "issuer", algorithm)
			if err != nil {
				t.Fatal(err)
			}
			if v := servertest.Verdict(r, "127.0.0.1", "node/24"); v != map[bool]string{true: "works", false: "breaks"}[strings.HasPrefix(got, "authorized")] {
				t.Errorf("a dry run said %q of it", v)
			}
		})
	}
}

// agentsRoot returns the root above the agents' issuer, of those that are served.
func agentsRoot(t *testing.T, w *servertest.World, roots []byte) []byte {
	t.Helper()
	for block, rest := pem.Decode(roots); block != nil; block, rest = pem.Decode(rest) {
		if fmt.Sprintf("%x", sha256.Sum256(block.Bytes)) == w.Root {
			return pem.EncodeToMemory(block)
		}
	}
	t.Fatal("the agents' root is not served")
	return nil
}
