package server_test

import (
	"crypto/x509"
	"testing"

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
