package ca_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage/keys"
)

// openssl runs the real program. Without it the test is skipped, but not in CI.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(peer.Find(t, "openssl"), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// TestOpenSSLAcceptsOurCertificates with all its checks on, and reads in them
// what we mean.
func TestOpenSSLAcceptsOurCertificates(t *testing.T) {
	for _, algorithm := range keys.Algorithms() {
		t.Run(string(algorithm), func(t *testing.T) {
			w := newWorld(t, func(p *catest.Plan) { p.Algorithm = algorithm })
			w.Add("api", agents.Change{DNS: []string{"api.example.com"}, IPs: []string{"2001:db8::1"}})
			request := csr(t, newECDSA(t, elliptic.P256()), &x509.CertificateRequest{DNSNames: []string{"api.example.com"}, IPAddresses: ips("2001:db8::1")})
			issued := must(w.Issue(t.Context(), catest.Ask("api", request)))(t)
			dir := t.TempDir()
			file := func(name string, der []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, ca.PEM(der), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			root, chain, leaf := file("root.pem", w.root.Raw), file("chain.pem", w.issuer.Raw), file("leaf.pem", issued.DER)
			for _, purpose := range []string{"sslclient", "sslserver"} {
				openssl(t, "verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose, "-verify_hostname", "api.example.com", "-verify_ip", "2001:db8::1",
					"-attime", strconv.FormatInt(w.now.Unix(), 10), "-CAfile", root, "-untrusted", chain, leaf)
			}
			text := openssl(t, "x509", "-in", leaf, "-noout", "-text", "-nameopt", "RFC2253")
			for _, want := range []string{
				"Version: 3 (0x2)", "Subject: CN=api\n", "X509v3 Key Usage: critical\n                Digital Signature\n", "TLS Web Server Authentication, TLS Web Client Authentication\n",
				"DNS:api.example.internal, DNS:api.example.com, IP Address:2001:DB8:0:0:0:0:0:1\n", "URI:spiffe://example.internal/agent/api",
				"CA Issuers - URI:" + baseURL + "/issuer/", "URI:" + baseURL + "/crl/",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("openssl x509 -text does not say %q:\n%s", want, text)
				}
			}
			serial := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(openssl(t, "x509", "-in", leaf, "-noout", "-serial"), "serial=")))
			if id, err := agents.ParseCredentialID(serial); err != nil || id != issued.ID {
				t.Errorf("openssl prints the serial number %s, want %s", serial, issued.ID)
			}
		})
	}
}

func TestRequestsOfOpenSSL(t *testing.T) {
	dir := t.TempDir()
	for kind, args := range map[string][]string{
		"P-256": {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, "Ed25519": {"-newkey", "ed25519"}, "RSA": {"-newkey", "rsa:2048"},
	} {
		text := openssl(t, append([]string{"req", "-new", "-nodes", "-subj", "/CN=api/O=Example", "-addext", "subjectAltName=DNS:api.example.com,IP:10.0.0.1,URI:spiffe://example.internal/agent/api", "-keyout", filepath.Join(dir, "key.pem")}, args...)...)
		got, err := ca.ParseCSRPEM([]byte(text))
		if err != nil || got.CN != "api" || len(got.Names) != 2 || len(got.URIs) != 1 {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
	}
}
