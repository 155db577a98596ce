package server_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/servertest"
)

func pool(t *testing.T, a *servertest.Agent) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	for _, der := range a.Cert.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		p.AddCert(c)
	}
	return p
}

// fetchCRL returns the list that the authority serves, its signature checked.
func fetchCRL(t *testing.T, w *servertest.World) *x509.RevocationList {
	t.Helper()
	r, err := http.Get(w.HTTP + ca.CRLPath(w.Issuer))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	der, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("fetching the CRL: %s %v", r.Status, err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := http.Get(w.HTTP + ca.CertificatePath(w.Issuer))
	if err != nil {
		t.Fatal(err)
	}
	defer issuer.Body.Close()
	der, err = io.ReadAll(issuer.Body)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(cert); err != nil {
		t.Fatal(err)
	}
	return list
}

func lists(l *x509.RevocationList, c *x509.Certificate) bool {
	return slices.ContainsFunc(l.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return e.SerialNumber.Cmp(c.SerialNumber) == 0
	})
}
