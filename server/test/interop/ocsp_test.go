package interop_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestOpenSSLAndCurlAskOCSP before and after the agent is suspended.
func TestOpenSSLAndCurlAskOCSP(t *testing.T) {
	peer.Find(t, "openssl")
	peer.Find(t, "curl")
	for _, algorithm := range []string{"ecdsa-p256", "ecdsa-p384", "ed25519", "ecdsa-p256+mldsa65"} {
		t.Run(algorithm, func(t *testing.T) {
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = algorithm })
			openSSLAndCurlAskOCSP(t, w)
		})
	}
}

func openSSLAndCurlAskOCSP(t *testing.T, w *servertest.World) {
	a := w.Enroll("reader", agents.Change{})
	d := t.TempDir()
	file := func(name string) string { return filepath.Join(d, name) }
	for name, text := range map[string]string{"cert": string(ca.PEM(a.Leaf.Raw)), "roots": w.Get(w.Client(), "/roots.pem"), "issuer": w.Get(w.Client(), "/chain.pem")} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := strings.TrimSpace(servertest.Run(t, true, "openssl", "x509", "-in", file("cert"), "-noout", "-ocsp_uri"))
	if url != w.HTTP+ca.OCSPPath {
		t.Errorf("the certificate says that OCSP is at %q", url)
	}
	about := []string{"ocsp", "-CAfile", file("roots"), "-issuer", file("issuer")}
	ask := func(more ...string) string {
		return servertest.Run(t, true, "openssl", append(append(about, more...), "-cert", file("cert"))...)
	}
	ask("-no_nonce", "-reqout", file("request"))
	request, err := os.ReadFile(file("request"))
	if err != nil {
		t.Fatal(err)
	}
	path := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(base64.StdEncoding.EncodeToString(request))
	for _, want := range []string{"good", "revoked"} {
		if out := ask("-no_nonce", "-url", url); !strings.Contains(out, "Response verify OK") || !strings.Contains(out, "cert: "+want) || strings.Contains(out, "WARNING") {
			t.Errorf("openssl ocsp: %s", out)
		}
		// It asks for a nonce otherwise, and says that none came back.
		if out := ask("-sha256", "-url", url); !strings.Contains(out, "Response verify OK") || !strings.Contains(out, "cert: "+want) || !strings.Contains(out, "WARNING: no nonce in response") {
			t.Errorf("openssl ocsp with a nonce: %s", out)
		}
		servertest.Run(t, true, "curl", "-sS", "--fail", "-o", file("answer"), url+"/"+path)
		if out := ask("-no_nonce", "-respin", file("answer")); !strings.Contains(out, "Response verify OK") || !strings.Contains(out, "cert: "+want) {
			t.Errorf("what curl got by GET: %s", out)
		}
		if want == "good" {
			if _, err := w.Admin.Suspend(t.Context(), "reader", "keyCompromise"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out := ask("-no_nonce", "-url", url); !strings.Contains(out, "Reason: keyCompromise") {
		t.Errorf("no reason: %s", out)
	}
	// A serial number that was never given is nobody's to sign for.
	out := servertest.Run(t, false, "openssl", append(about, "-serial", "0x"+strings.Repeat("1b", 20), "-no_nonce", "-url", url)...)
	if !strings.Contains(out, "unauthorized") {
		t.Errorf("about a made-up certificate: %s", out)
	}
}

// TestGnuTLSAsksOCSP: GnuTLS finds the signer by the name in the answer.
func TestGnuTLSAsksOCSP(t *testing.T) {
	peer.Find(t, "ocsptool")
	w := servertest.New(t)
	a := w.Enroll("reader", agents.Change{})
	d := t.TempDir()
	cert, issuer := filepath.Join(d, "cert"), filepath.Join(d, "issuer")
	for name, text := range map[string]string{cert: string(ca.PEM(a.Leaf.Raw)), issuer: w.Get(w.Client(), "/chain.pem")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"good", "revoked"} {
		out := servertest.Run(t, true, "ocsptool", "--ask="+w.HTTP+ca.OCSPPath, "--load-cert", cert, "--load-issuer", issuer)
		if !strings.Contains(out, "Verifying OCSP Response: Success") || !strings.Contains(out, "Certificate Status: "+want) {
			t.Errorf("want %s: %s", want, out)
		}
		if want == "good" {
			if _, err := w.Admin.Suspend(t.Context(), "reader", "superseded"); err != nil {
				t.Fatal(err)
			}
		}
	}
}
