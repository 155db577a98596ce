package interop_test

import (
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crypto/x509"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestOpenSSLAndCurlAgree has the programs that everybody uses judge an
// agent's certificate before and after the agent is suspended.
func TestOpenSSLAndCurlAgree(t *testing.T) {
	peer.Find(t, "openssl")
	peer.Find(t, "curl")
	for _, algorithm := range []string{"ecdsa-p256", "ecdsa-p384", "ed25519", "ecdsa-p256+mldsa65", "ed25519+mldsa87"} {
		t.Run(algorithm, func(t *testing.T) {
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = algorithm })
			openSSLAndCurl(t, w)
		})
	}
}

func openSSLAndCurl(t *testing.T, w *servertest.World) {
	a := w.Enroll("reader", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
	d := t.TempDir()
	roots, chain := saveFile(t, d, "roots.pem", []byte(w.Get(w.Client(), "/roots.pem"))), saveFile(t, d, "chain.pem", []byte(w.Get(w.Client(), "/chain.pem")))
	cert, keyFile := saveAgent(t, d, a)
	crlURL := a.Leaf.CRLDistributionPoints[0]
	fetchList := func() string {
		der := filepath.Join(d, "list.crl")
		servertest.Run(t, true, "curl", "-sS", "--fail", "-o", der, crlURL)
		pemFile := filepath.Join(d, "list.pem")
		servertest.Run(t, true, "openssl", "crl", "-inform", "DER", "-in", der, "-out", pemFile)
		return pemFile
	}
	verify := []string{"verify", "-x509_strict", "-crl_check", "-CAfile", roots, "-untrusted", chain, "-purpose", "sslclient"}
	token := []string{"-sS", "-o", filepath.Join(d, "body"), "-w", "%{http_code}", "--cacert", roots, "--cert", cert, "--key", keyFile,
		"-d", url.Values{"grant_type": {"client_credentials"}}.Encode(), w.URL + "/oauth/token"}

	list := fetchList()
	if out := servertest.Run(t, true, "openssl", append(verify, "-CRLfile", list, cert)...); !strings.Contains(out, ": OK") {
		t.Errorf("openssl verify before: %s", out)
	}
	if out := servertest.Run(t, true, "openssl", "crl", "-verify", "-CAfile", chain, "-in", list, "-noout"); !strings.Contains(out, "verify OK") {
		t.Errorf("openssl crl -verify: %s", out)
	}
	if out := servertest.Run(t, true, "curl", token...); out != "200" {
		t.Errorf("curl with the certificate, before: %s", out)
	}
	if _, err := w.Admin.Suspend(t.Context(), "reader", ""); err != nil {
		t.Fatal(err)
	}
	list = fetchList()
	if out := servertest.Run(t, false, "openssl", append(verify, "-CRLfile", list, cert)...); !strings.Contains(out, "certificate revoked") {
		t.Errorf("openssl verify after: %s", out)
	}
	if out := servertest.Run(t, true, "openssl", "crl", "-in", list, "-noout", "-text"); !strings.Contains(out, "Privilege Withdrawn") {
		t.Errorf("openssl crl -text: %s", out)
	}
	if out := servertest.Run(t, true, "curl", token...); out != "401" {
		t.Errorf("curl with the certificate, after: %s", out)
	}
}

// saveAgent saves an agent's certificate, with its chain, and its key for programs
// that read files.
func saveAgent(t *testing.T, dir string, a *servertest.Agent) (cert, key string) {
	t.Helper()
	return saveFile(t, dir, "cert.pem", ca.PEM(a.Cert.Certificate...)), saveFile(t, dir, "key.pem", privatePEM(t, a.Key))
}

func privatePEM(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func saveFile(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
