package server_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// askOCSP asks where the certificate says, with a client that is not ours, and
// checks the signature: it must be of the key of the issuer. It returns what
// that rests on.
func askOCSP(t *testing.T, cert *x509.Certificate, issuer *pkix.Certificate) (*xocsp.Response, pkix.Protection) {
	t.Helper()
	request, err := xocsp.CreateRequest(cert, issuer.X509, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(cert.OCSPServer[0], "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	der, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := xocsp.ParseResponseForCert(der, cert, nil)
	if err != nil {
		t.Fatalf("OCSP: %s %x: %v", r.Status, der, err)
	}
	var outer struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0"`
	}
	var basic struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(outer.Bytes.Basic, &basic); err != nil {
		t.Fatal(err)
	}
	p, err := issuer.CheckSignature(basic.Algorithm.FullBytes, basic.TBS.FullBytes, basic.Signature.Bytes)
	if err != nil {
		t.Errorf("OCSP: %v", err)
	}
	return answer, p
}

// TestWhoAsksOCSPReliesOnTheIssuer, by POST or GET: a rehearsal of a rotation
// knows them.
func TestWhoAsksOCSPReliesOnTheIssuer(t *testing.T) {
	w := servertest.New(t)
	a := w.Enroll("reader", agents.Change{})
	issuer, err := x509.ParseCertificate(a.Cert.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	request, err := xocsp.CreateRequest(a.Leaf, issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	url := a.Leaf.OCSPServer[0]
	for software, send := range map[string][3]string{
		"poster/1": {"POST", url, string(request)}, "getter/1": {"GET", url + "/" + base64.StdEncoding.EncodeToString(request), ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), send[0], send[1], strings.NewReader(send[2]))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/ocsp-request")
		r.Header.Set("User-Agent", software)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if answer := servertest.Read(w, got); answer.Status != http.StatusOK {
			t.Errorf("%s: %d", software, answer.Status)
		}
		rehearsed, err := w.Admin.RehearseKey(t.Context(), "issuer", "mldsa65-ecdsa-p256-sha512")
		if err != nil {
			t.Fatal(err)
		}
		if v := verdict(t, rehearsed, "127.0.0.1", software); v != "breaks" {
			t.Errorf("%s: a rehearsal said %q of it", software, v)
		}
	}
}

// TestOpenSSLAndCurlAskOCSP before and after the agent is suspended.
func TestOpenSSLAndCurlAskOCSP(t *testing.T) {
	peer(t, "openssl")
	peer(t, "curl")
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
	url := strings.TrimSpace(run(t, true, "openssl", "x509", "-in", file("cert"), "-noout", "-ocsp_uri"))
	if url != w.HTTP+ca.OCSPPath {
		t.Errorf("the certificate says that OCSP is at %q", url)
	}
	about := []string{"ocsp", "-CAfile", file("roots"), "-issuer", file("issuer")}
	ask := func(more ...string) string {
		return run(t, true, "openssl", append(append(about, more...), "-cert", file("cert"))...)
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
		run(t, true, "curl", "-sS", "--fail", "-o", file("answer"), url+"/"+path)
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
	out := run(t, false, "openssl", append(about, "-serial", "0x"+strings.Repeat("1b", 20), "-no_nonce", "-url", url)...)
	if !strings.Contains(out, "unauthorized") {
		t.Errorf("about a made-up certificate: %s", out)
	}
}
