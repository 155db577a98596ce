package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func selfSigned(t *testing.T, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Example Root CA"}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		SubjectKeyId: []byte{1, 2, 3}, NotAfter: time.Now().Add(time.Hour),
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestConstrainedRootsOnly: a root counts as constrained if it is critically constrained for
// DNS names and for addresses.
func TestConstrainedRootsOnly(t *testing.T) {
	_, none, _ := net.ParseCIDR("0.0.0.0/0")
	for what, c := range map[string]struct {
		change func(*x509.Certificate)
		good   bool
	}{
		"unconstrained": {func(*x509.Certificate) {}, false},
		"names only": {func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"a.b"}
		}, false},
		"addresses only": {func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.ExcludedIPRanges = true, []*net.IPNet{none}
		}, false},
		"not critical": {func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.ExcludedIPRanges = []string{"a.b"}, []*net.IPNet{none}
		}, false},
		"both": {func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains, c.ExcludedIPRanges = true, []string{"a.b"}, []*net.IPNet{none}
		}, true},
	} {
		if err := constrained([]*x509.Certificate{selfSigned(t, c.change)}); (err == nil) != c.good {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestInstall puts a root into the store of the system that is there, and reports what the
// system's command says.
func TestInstall(t *testing.T) {
	root := selfSigned(t, func(*x509.Certificate) {})
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	s := systemStores{t.TempDir(), []store{
		{"none", "sh", nil},
		{"unknown", "no-such-command-here", nil},
		{"anchors", "update-fake", []string{"extract"}},
	}}
	if _, err := s.install(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "ca-certificates") {
		t.Errorf("no store: %v", err)
	}
	dir := filepath.Join(s.root, "anchors")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for script, good := range map[string]bool{"#!/bin/sh\ntest \"$1\" = extract && test -f " + dir + "/brevet-010203.crt": true, "#!/bin/sh\necho sorry; exit 1": false} {
		if err := os.WriteFile(filepath.Join(bin, "update-fake"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		files, err := s.install(t.Context(), []*x509.Certificate{root})
		if (err == nil) != good || !good && !strings.Contains(err.Error(), "sorry") || len(files) != 1 || files[0] != filepath.Join(dir, "brevet-010203.crt") {
			t.Errorf("%q: got %v, %v", script, files, err)
		}
	}
}
