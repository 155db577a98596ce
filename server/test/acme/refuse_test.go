package acme_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/rawacme"
)

// TestACMENamesRefused orders names that are not the agent's.
func TestACMENamesRefused(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{DNS: []string{"shop.example.org", "www.example.org,challenge"}})
	addACME(t, w, "bank", agents.Change{DNS: []string{"bank.example.org"}})
	c := a.account()
	denied := 0
	for _, name := range []string{
		"bank.example.org", "bank.example.internal", "a.shop.example.org", "*.shop.example.org", "example.org", "shop.example.org.example.internal",
	} {
		_, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("shop.example.org", name))
		wantProblem(t, name, err, "rejectedIdentifier")
		var p *acme.Error
		if errors.As(err, &p) && (len(p.Subproblems) != 1 || p.Subproblems[0].Identifier == nil || p.Subproblems[0].Identifier.Value != name) {
			t.Errorf("%s: the subproblems are %+v, want one that names it", name, p.Subproblems)
		}
		denied++
	}
	_, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("bank.example.org", "shop.example.org", "example.net"))
	var p *acme.Error
	if wantProblem(t, "two of three", err, "rejectedIdentifier"); errors.As(err, &p) && len(p.Subproblems) != 2 {
		t.Errorf("two of three: the subproblems are %+v", p.Subproblems)
	}
	denied++
	if n := a.events("acme.order", "deny"); n != denied {
		t.Errorf("%d refused orders are in the audit log, want %d", n, denied)
	}
	for what, ids := range map[string][]acme.AuthzID{
		"no name":            {},
		"a name that is two": acme.DomainIDs("shop.example.org,challenge"),
		"no DNS name":        acme.DomainIDs("shop example"),
	} {
		_, err := c.AuthorizeOrder(t.Context(), ids)
		if got := problemType(err); got != "malformed" && got != "rejectedIdentifier" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("shop.example.org", "SHOP.example.org")); err != nil || len(o.Identifiers) != 1 {
		t.Errorf("the same twice: %+v, %v", o, err)
	}
	_, err = c.AuthorizeOrder(t.Context(), []acme.AuthzID{{Type: "email", Value: "me@example.org"}})
	wantProblem(t, "an e-mail address", err, "unsupportedIdentifier")
	if n := a.events("certificate.issue", "allow"); n > 0 {
		t.Errorf("%d certificates were issued", n)
	}

	// A name that the registry takes back is not in a certificate, although the
	// order was authorized for it.
	o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("shop.example.org"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.SetAgent(t.Context(), a.name, api.Change{DNS: []string{"www.example.org,challenge"}}); err != nil {
		t.Fatal(err)
	}
	_, _, err = c.CreateOrderCert(t.Context(), o.FinalizeURL, acmeCSR(t, newKey(t), o.Identifiers), false)
	wantProblem(t, "a name that was taken back", err, "rejectedIdentifier")
}

// TestACMERequestsRefused finalizes with what is not for the order.
func TestACMERequestsRefused(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{DNS: []string{"shop.example.org", "b.example.org", "www.example.org,challenge"}})
	c := a.account()
	o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("shop.example.org", a.own()))
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	email, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		DNSNames: []string{"shop.example.org", a.own()}, EmailAddresses: []string{"me@example.org"},
	}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	broken := acmeCSR(t, newKey(t), o.Identifiers)
	broken[len(broken)-1] ^= 1
	for what, csr := range map[string][]byte{
		"one name less":       acmeCSR(t, newKey(t), o.Identifiers[:1]),
		"one name more":       acmeCSR(t, newKey(t), append(acme.DomainIDs("b.example.org"), o.Identifiers...)),
		"another name":        acmeCSR(t, newKey(t), acme.DomainIDs("shop.example.org", "b.example.org")),
		"no name":             acmeCSR(t, newKey(t), nil),
		"an address more":     acmeCSR(t, newKey(t), append(acme.IPIDs("192.0.2.1"), o.Identifiers...)),
		"the account's key":   acmeCSR(t, c.Key, o.Identifiers),
		"a weak key":          acmeCSR(t, weak, o.Identifiers),
		"an e-mail address":   email,
		"a broken signature":  broken,
		"what is no request":  []byte("request"),
		"more than a request": append(acmeCSR(t, newKey(t), o.Identifiers), 0),
	} {
		_, _, err := c.CreateOrderCert(t.Context(), o.FinalizeURL, csr, false)
		wantProblem(t, "a request with "+what, err, "badCSR")
	}
	a.finish(c, o) // the order is as it was
	_, _, err = c.CreateOrderCert(t.Context(), o.FinalizeURL, acmeCSR(t, newKey(t), o.Identifiers), false)
	wantProblem(t, "finalizing again", err, "orderNotReady")
	pending, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("www.example.org"))
	if err != nil || pending.Status != acme.StatusPending {
		t.Fatalf("an order with a name to prove is %+v, %v", pending, err)
	}
	_, _, err = c.CreateOrderCert(t.Context(), pending.FinalizeURL, acmeCSR(t, newKey(t), pending.Identifiers), false)
	wantProblem(t, "finalizing what is not proven", err, "orderNotReady")

	// Deactivating an authorization ends the order (RFC 8555, section 7.5.2).
	ready, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("shop.example.org"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.RevokeAuthorization(t.Context(), ready.AuthzURLs[0]); err != nil {
		t.Error("deactivating an authorization: ", err)
	}
	if z, err := c.GetAuthorization(t.Context(), ready.AuthzURLs[0]); err != nil || z.Status != acme.StatusDeactivated {
		t.Errorf("the authorization is %+v, %v", z, err)
	}
	_, _, err = c.CreateOrderCert(t.Context(), ready.FinalizeURL, acmeCSR(t, newKey(t), ready.Identifiers), false)
	wantProblem(t, "finalizing without authorization", err, "orderNotReady")

	// Nobody sees another's order.
	other := addACME(t, w, "other", agents.Change{}).account()
	for what, err := range map[string]error{
		"another account's order":         errorOf(other.GetOrder(t.Context(), o.URI)),
		"another account's authorization": errorOf(other.GetAuthorization(t.Context(), o.AuthzURLs[0])),
		"another account's orders":        listOf(t, other, c),
	} {
		if got := problemType(err); got != "malformed" && got != "unauthorized" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// listOf has one account ask for the orders of another.
func listOf(t *testing.T, one, of *acme.Client) error {
	account, err := of.GetReg(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = rawacme.From(one).Post(account.OrdersURL, nil)
	return err
}
