package acme_test

import (
	"testing"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// An ACME client is known by its agent, although TLS does not tell.
func TestRehearsalKnowsACMEClients(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{DNS: []string{"shop.example.org"}})
	c := a.account()
	c.UserAgent = "certbot/0"
	a.obtain(c, []string{"shop.example.org"})
	r, err := w.Admin.DryRunKey(t.Context(), "issuer", "mldsa44")
	if err != nil || servertest.Verdict(r, "shop", "certbot/0") != "unknown" {
		t.Errorf("%+v, %v", r.Parties, err)
	}
	if r, err = w.Admin.DryRunKey(t.Context(), "issuer", "ecdsa-p384"); err != nil || servertest.Verdict(r, "shop", "certbot/0") != "works" {
		t.Errorf("%+v, %v", r.Parties, err)
	}
	// Once it has had one of that algorithm, it is known to take them.
	if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", "mldsa44"); err != nil {
		t.Fatal(err)
	}
	a.obtainBlind(c, "shop.example.org")
	if r, err = w.Admin.DryRunKey(t.Context(), "issuer", "mldsa44"); err != nil || servertest.Verdict(r, "shop", "certbot/0") != "works" {
		t.Errorf("%+v, %v", r.Parties, err)
	}
}

// obtainBlind gets a certificate without a look at it.
func (a *acmeAgent) obtainBlind(c *acme.Client, name string) {
	a.t.Helper()
	o, err := c.AuthorizeOrder(a.t.Context(), acme.DomainIDs(name))
	if err != nil {
		a.t.Fatal(err)
	}
	if _, _, err := c.CreateOrderCert(a.t.Context(), o.FinalizeURL, acmeCSR(a.t, newKey(a.t), o.Identifiers), true); err != nil {
		a.t.Fatal(err)
	}
}
