package pkix

import (
	"bytes"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// openssl runs the real program. Without it the test is skipped, but not in CI.
func openssl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(peer.Find(t, "openssl"), args...).CombinedOutput()
	return string(out), err
}

func write(t *testing.T, name, kind string, ders ...[]byte) string {
	t.Helper()
	var text bytes.Buffer
	for _, der := range ders {
		if err := pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOpenSSLAcceptsTheOutside of certificates and CRLs with alternative signatures,
// with all its checks on.
func TestOpenSSLAcceptsTheOutside(t *testing.T) {
	root := newCA(t, alternativeMode, "root", nil)
	issuing := newCA(t, alternativeMode, "issuing", root)
	leaf, revoked := newLeaf(t, "leaf.example", issuing), newLeaf(t, "revoked.example", issuing)
	anchors := write(t, "root.pem", "CERTIFICATE", root.X509.Raw)
	others := write(t, "issuing.pem", "CERTIFICATE", issuing.X509.Raw)
	crls := write(t, "crls.pem", "X509 CRL", newCRL(t, root).X509.Raw, newCRL(t, issuing, revoking(revoked)).X509.Raw)
	verify := func(c *entity) (string, error) {
		return openssl(t, "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver", "-crl_check_all", "-CRLfile", crls,
			"-attime", strconv.FormatInt(now.Unix(), 10), "-CAfile", anchors, "-untrusted", others, write(t, "leaf.pem", "CERTIFICATE", c.X509.Raw))
	}
	if out, err := verify(leaf); err != nil {
		t.Errorf("openssl verify: %v\n%s", err, out)
	}
	if out, err := verify(revoked); err == nil || !strings.Contains(out, "certificate revoked") {
		t.Errorf("openssl verify of a revoked certificate: %v\n%s", err, out)
	}
	out, err := openssl(t, "x509", "-noout", "-text", "-in", write(t, "issuing.pem", "CERTIFICATE", issuing.X509.Raw))
	if err != nil {
		t.Fatalf("openssl x509: %v\n%s", err, out)
	}
	for _, want := range []string{"Signature Algorithm: ecdsa-with-SHA256", "            2.5.29.72: \n", "            2.5.29.73: \n", "            2.5.29.74: \n"} {
		if !strings.Contains(out, want) {
			t.Errorf("openssl x509 -text does not say %q:\n%s", want, out)
		}
	}
}

// TestOpenSSLReadsTheRest: requests, pure and composite certificates can at least be
// taken apart.
func TestOpenSSLReadsTheRest(t *testing.T) {
	for _, m := range []mode{pureMode, compositeMode} {
		root := newCA(t, m, "root", nil)
		for kind, der := range map[string][]byte{
			"CERTIFICATE": root.X509.Raw, "X509 CRL": newCRL(t, root).X509.Raw, "CERTIFICATE REQUEST": must(CreateCSR(csrTemplate, root.signer))(t),
		} {
			if out, err := openssl(t, "asn1parse", "-in", write(t, "x.pem", kind, der)); err != nil || strings.Contains(out, "rror") {
				t.Errorf("%s: openssl asn1parse: %v\n%s", kind, err, out)
			}
		}
	}
}
