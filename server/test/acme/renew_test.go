package acme_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	acmezproto "github.com/mholt/acmez/v3/acme"
	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func quiet(t *testing.T) *log.Logger { return log.New(io.Discard, "", 0) }

func derChain(t *testing.T, text []byte) (chain [][]byte) {
	t.Helper()
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			t.Fatalf("not a chain of certificates: %q", text)
		}
		chain, text = append(chain, block.Bytes), rest
	}
	return chain
}

// asX returns a client of the other library for an account.
func (a *acmeAgent) asX(account acmezproto.Account) *acme.Client {
	c := a.xClient(account.PrivateKey)
	c.KID = acme.KeyID(account.Location)
	return c
}

// zObtain gets a certificate by acmez.
func (a *acmeAgent) zObtain(c *acmez.Client, account acmezproto.Account, change func(*acmez.OrderParameters)) (*x509.Certificate, error) {
	a.t.Helper()
	key := newKey(a.t)
	csr, err := acmez.NewCSR(key, []string{a.own()})
	if err != nil {
		a.t.Fatal(err)
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		a.t.Fatal(err)
	}
	if change != nil {
		change(&params)
	}
	chains, err := c.ObtainCertificate(a.t.Context(), params)
	if err != nil {
		return nil, err
	}
	return a.checkChain(derChain(a.t, chains[0].ChainPEM), key, acme.DomainIDs(a.own())).Leaf, nil
}

// TestACMERenewal renews when the authority suggests it (RFC 9773), with a
// profile, and says what it replaces.
func TestACMERenewal(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	c, account := a.zClient()
	first, err := a.zObtain(c, account, func(p *acmez.OrderParameters) { p.Profile = "30m" })
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(first.NotAfter); life < 29*time.Minute || life > 31*time.Minute {
		t.Errorf("by the profile 30m, the certificate lives for %s", life)
	}
	info, err := c.GetRenewalInfo(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	window := info.SuggestedWindow
	if !window.Start.After(time.Now()) || !window.End.Before(first.NotAfter) || info.RetryAfter == nil || info.RetryAfter.After(first.NotAfter) {
		t.Errorf("the window is %s to %s, asked again after %v, for a certificate until %s", window.Start, window.End, info.RetryAfter, first.NotAfter)
	}
	again, err := c.GetRenewalInfo(t.Context(), first)
	if err != nil || !again.SameWindow(info) {
		t.Errorf("the window moved to %v, %v", again, err)
	}

	replaces := func(cert *x509.Certificate) func(*acmez.OrderParameters) {
		return func(p *acmez.OrderParameters) { p.Replaces = cert }
	}
	second, err := a.zObtain(c, account, replaces(first))
	if err != nil {
		t.Fatal(err)
	}
	id, err := acmezproto.ARIUniqueIdentifier(first)
	if err != nil {
		t.Fatal(err)
	}
	order := acmezproto.Order{Identifiers: []acmezproto.Identifier{{Type: "dns", Value: a.own()}}, Replaces: id}
	_, err = c.NewOrder(t.Context(), account, order)
	wantProblem(t, "replacing a second time", err, "alreadyReplaced")
	if _, err := a.zObtain(c, account, replaces(first)); err != nil {
		t.Error("a client that orders again without replaces: ", err)
	}
	// The window is now, as soon as the certificate is revoked.
	if err := c.RevokeCertificate(t.Context(), account, second, nil, acmezproto.ReasonSuperseded); err != nil {
		t.Fatal(err)
	}
	info, err = c.GetRenewalInfo(t.Context(), second)
	if err != nil || info.SuggestedWindow.Start.After(time.Now()) {
		t.Errorf("the window of a revoked certificate is %+v, %v", info.SuggestedWindow, err)
	}
}

// TestACMEReplacesIgnored orders to replace what cannot be: the order goes on without.
func TestACMEReplacesIgnored(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{DNS: []string{"shop.example.org"}})
	c, account := a.zClient()
	cert := a.obtain(a.asX(account), []string{a.own(), "shop.example.org"}).Leaf
	id, err := acmezproto.ARIUniqueIdentifier(cert)
	if err != nil {
		t.Fatal(err)
	}
	replacing := func(name string) acmezproto.Order {
		return acmezproto.Order{Identifiers: []acmezproto.Identifier{{Type: "dns", Value: name}}, Replaces: id}
	}
	for _, what := range []string{"x", "AAAA.BBBB", id[:27] + ".AAAA"} {
		order := replacing(a.own())
		order.Replaces = what
		if _, err := c.NewOrder(t.Context(), account, order); err != nil {
			t.Errorf("replacing %s: %v", what, err)
		}
	}

	// A name that moves to another agent does not take its certificates along.
	if _, err := w.Admin.SetAgent(t.Context(), a.name, api.Change{DNS: []string{}}); err != nil {
		t.Fatal(err)
	}
	other := addACME(t, w, "other", agents.Change{DNS: []string{"shop.example.org", "shop"}})
	stranger, theirs := other.zClient()
	for _, name := range []string{other.own(), "shop.example.org"} {
		if _, err := stranger.NewOrder(t.Context(), theirs, replacing(name)); err != nil {
			t.Errorf("replacing another agent's certificate for %s: %v", name, err)
		}
	}

	// Two orders replace one certificate, and only one of them brings another.
	var csrs [2][]byte
	var orders [2]acmezproto.Order
	for i := range orders {
		if orders[i], err = c.NewOrder(t.Context(), account, replacing(a.own())); err != nil {
			t.Fatal(err)
		}
		csrs[i] = acmeCSR(t, newKey(t), acme.DomainIDs(a.own()))
	}
	if _, err := c.FinalizeOrder(t.Context(), account, orders[0], csrs[0]); err != nil {
		t.Fatal(err)
	}
	_, err = c.FinalizeOrder(t.Context(), account, orders[1], csrs[1])
	wantProblem(t, "finalizing the second order", err, "alreadyReplaced")
}

// TestACMERotationMovesWindow has the issuer rotate: what it signed is due now.
func TestACMERotationMovesWindow(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	c, account := a.zClient()
	cert, err := a.zObtain(c, account, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", ""); err != nil {
		t.Fatal(err)
	}
	info, err := c.GetRenewalInfo(t.Context(), cert)
	if err != nil || info.SuggestedWindow.Start.After(time.Now()) {
		t.Errorf("the window of a certificate by a retired issuer is %+v, %v", info.SuggestedWindow, err)
	}
	next, err := a.zObtain(c, account, func(p *acmez.OrderParameters) { p.Replaces = cert })
	if err != nil {
		t.Fatal(err)
	}
	if info, err = c.GetRenewalInfo(t.Context(), next); err != nil || !info.SuggestedWindow.Start.After(time.Now()) {
		t.Errorf("the window of its successor is %+v, %v", info.SuggestedWindow, err)
	}
}

// TestACMEAccountByAcmez changes keys, authorizations and accounts with the
// library that Caddy is built on.
func TestACMEAccountByAcmez(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	c, account := a.zClient()
	account.Contact = []string{"mailto:me@example.org"}
	account, err := c.UpdateAccount(t.Context(), account)
	if err != nil || len(account.Contact) != 1 {
		t.Fatalf("with a contact, the account is %+v, %v", account, err)
	}
	if account, err = c.AccountKeyRollover(t.Context(), account, newKey(t)); err != nil {
		t.Fatal("changing the key: ", err)
	}
	if got, err := c.GetAccount(t.Context(), account); err != nil || got.Location != account.Location {
		t.Errorf("by its new key, the account is %+v, %v", got, err)
	}
	if _, err := a.zObtain(c, account, nil); err != nil {
		t.Error(err)
	}
	order := acmezproto.Order{Identifiers: []acmezproto.Identifier{{Type: "dns", Value: a.own()}}}
	if order, err = c.NewOrder(t.Context(), account, order); err != nil {
		t.Fatal(err)
	}
	if z, err := c.DeactivateAuthorization(t.Context(), account, order.Authorizations[0]); err != nil || z.Status != acmezproto.StatusDeactivated {
		t.Errorf("the authorization is %+v, %v", z, err)
	}
	account.Status = "deactivated"
	if account, err = c.UpdateAccount(t.Context(), account); err != nil || account.Status != "deactivated" {
		t.Errorf("the account is %+v, %v", account, err)
	}
	_, err = c.NewOrder(t.Context(), account, acmezproto.Order{Identifiers: order.Identifiers})
	wantProblem(t, "an order of a deactivated account", err, "unauthorized")
}

// TestACMEClocks has devices whose clocks are two minutes ahead and behind.
func TestACMEClocks(t *testing.T) {
	for _, skew := range []time.Duration{2 * time.Minute, -2 * time.Minute} {
		w := servertest.New(t)
		a := addACME(t, w, "shop", agents.Change{})
		w.Clock.Advance(skew) // the device's clock stays
		c, account := a.zClient()
		c.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.Roots}}}
		t.Cleanup(c.HTTPClient.CloseIdleConnections)
		var cert *x509.Certificate
		for range 3 {
			next, err := a.zObtain(c, account, func(p *acmez.OrderParameters) { p.Replaces = cert })
			if err != nil {
				t.Fatalf("the authority is %s ahead: %v", skew, err)
			}
			if info, err := c.GetRenewalInfo(t.Context(), next); err != nil || !info.SuggestedWindow.End.Before(next.NotAfter) {
				t.Errorf("the authority is %s ahead: the window is %+v, %v", skew, info.SuggestedWindow, err)
			}
			cert = next
		}
		if err := c.RevokeCertificate(t.Context(), account, cert, nil, 0); err != nil {
			t.Errorf("the authority is %s ahead: revoking: %v", skew, err)
		}
	}
}
