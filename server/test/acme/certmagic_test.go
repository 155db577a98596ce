package acme_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	acmezproto "github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestCertMagicComesBack has the library of Caddy get certificates. After suspend, resume
// and reenroll, the new binding key alone is enough: certmagic keeps its account until it
// is told that the account does not exist. Then it registers, and repeats the order with the
// old account; so its next attempt succeeds, which Caddy makes a minute later.
func TestCertMagicComesBack(t *testing.T) {
	w := servertest.New(t)
	one := addACME(t, w, "shop", agents.Change{DNS: []string{"shop.example.org", "www.example.org"}})
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	obtain := func(a *acmeAgent, name string) {
		t.Helper()
		if err := obtainByCertMagic(t, w, storage, a, name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	obtain(one, "shop.example.org")
	if _, err := w.Admin.Suspend(t.Context(), "shop", ""); err != nil {
		t.Fatal(err)
	}
	if err := obtainByCertMagic(t, w, storage, one, "www.example.org"); err == nil {
		t.Fatal("a suspended agent got a certificate")
	}
	if _, err := w.Admin.Resume(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	in, err := w.Admin.Reenroll(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	obtainByCertMagic(t, w, storage, one.bindable(in), "www.example.org")
	obtain(one, "www.example.org")
	if c, err := w.Admin.Certificates(t.Context(), "shop", "active"); err != nil || len(c) != 1 {
		t.Errorf("%d certificates are alive, %v", len(c), err)
	}
}

func obtainByCertMagic(t *testing.T, w *servertest.World, storage certmagic.Storage, a *acmeAgent, name string) error {
	t.Helper()
	var config *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return config, nil }, Logger: zap.NewNop(),
	})
	t.Cleanup(cache.Stop)
	config = certmagic.New(cache, certmagic.Config{Storage: storage, Logger: zap.NewNop()})
	config.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(config, certmagic.ACMEIssuer{
		CA: w.URL + acmeDirectory, Agreed: true, Email: "ops@example.org", TrustedRoots: w.Roots, Logger: zap.NewNop(), CertObtainTimeout: 30 * time.Second,
		DisableHTTPChallenge: true, DisableTLSALPNChallenge: true,
		ExternalAccount: &acmezproto.EAB{KeyID: a.kid, MACKey: base64.RawURLEncoding.EncodeToString(a.mac)},
	})}
	return config.ObtainCertSync(t.Context(), name)
}
