package acme_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestACMEBinding is about who gets an account: whoever has the key that an
// operator was told, once.
func TestACMEBinding(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})

	_, err := a.xClient(newKey(t)).Register(t.Context(), new(acme.Account), acme.AcceptTOS)
	wantProblem(t, "an account without a binding", err, "externalAccountRequired")
	stranger, wrong := *a, *a
	stranger.kid, wrong.mac = "unknown", []byte("another key of some length which is not it")
	_, unknown := stranger.register(a.xClient(newKey(t)))
	wantProblem(t, "an account with an unknown key ID", unknown, "unauthorized")
	_, forged := wrong.register(a.xClient(newKey(t)))
	wantProblem(t, "an account with a wrong key", forged, "unauthorized")
	var u, f *acme.Error
	if errors.As(unknown, &u) && errors.As(forged, &f) && u.Detail != f.Detail {
		t.Errorf("the answers tell whether a key ID exists: %q and %q", u.Detail, f.Detail)
	}

	c := a.account()
	_, err = a.register(c)
	if !errors.Is(err, acme.ErrAccountAlreadyExists) {
		t.Errorf("registering again with the same key: %v", err)
	}
	_, err = a.register(a.xClient(newKey(t)))
	wantProblem(t, "a second account by the same binding", err, "unauthorized")
	a.obtain(c, []string{a.own()})

	in, err := w.Admin.Reenroll(t.Context(), a.name)
	if err != nil {
		t.Fatal(err)
	}
	a.bindable(in)
	if second := a.account(); second.KID == c.KID {
		t.Error("another key and binding made the same account")
	}
	a.obtain(c, []string{a.own()})
}

func TestACMEAccountChanges(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	c := a.account()
	got, err := c.GetReg(t.Context(), "")
	if err != nil || got.Status != acme.StatusValid || got.URI == "" || got.OrdersURL == "" {
		t.Fatalf("the account is %+v, %v", got, err)
	}
	contact := []string{"mailto:me@example.org"}
	if got, err = c.UpdateReg(t.Context(), &acme.Account{Contact: contact}); err != nil || !slices.Equal(got.Contact, contact) {
		t.Errorf("with a contact, the account is %+v, %v", got, err)
	}
	if err := c.DeactivateReg(t.Context()); err != nil {
		t.Fatal("deactivating: ", err)
	}
	_, err = c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
	wantProblem(t, "an order of a deactivated account", err, "unauthorized")
	_, err = a.xClient(c.Key).GetReg(t.Context(), "")
	wantProblem(t, "looking up a deactivated account", err, "unauthorized")
}

func TestACMEKeyChange(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	c := a.account()
	account, old, next := c.KID, a.xClient(c.Key), newKey(t)
	before, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AccountKeyRollover(t.Context(), next); err != nil {
		t.Fatal("changing the key: ", err)
	}
	a.finish(c, before) // the order is the account's, not the key's
	if got, err := a.xClient(next).GetReg(t.Context(), ""); err != nil || got.URI != string(account) {
		t.Errorf("by its new key, the account is %+v, %v", got, err)
	}
	if _, err := old.GetReg(t.Context(), ""); !errors.Is(err, acme.ErrNoAccount) {
		t.Errorf("by its old key: %v, want no account", err)
	}
	old.KID = account
	if _, err := old.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own())); err == nil {
		t.Error("the old key still signs for the account")
	}

	other := addACME(t, w, "other", agents.Change{}).account()
	var conflict *acme.Error
	if err := c.AccountKeyRollover(t.Context(), other.Key); !errors.As(err, &conflict) || conflict.StatusCode != http.StatusConflict {
		t.Errorf("changing to the key of another account: %v, want 409 (RFC 8555, section 7.3.5)", err)
	} else if got := conflict.Header.Get("Location"); got != string(other.KID) {
		t.Errorf("the conflict is with %q, want %q", got, other.KID)
	}
	a.obtain(c, []string{a.own()})
}

// TestACMESuspension suspends and decommissions agents whose clients are in the
// middle of an order.
func TestACMESuspension(t *testing.T) {
	w := servertest.New(t)
	for name, end := range map[string]func(string) error{
		"suspended":      func(name string) error { _, err := w.Admin.Suspend(t.Context(), name, ""); return err },
		"decommissioned": func(name string) error { _, err := w.Admin.Decommission(t.Context(), name, ""); return err },
	} {
		a := addACME(t, w, name, agents.Change{})
		c := a.account()
		had := a.obtain(c, []string{a.own()})
		o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
		if err != nil {
			t.Fatal(err)
		}
		if err := end(name); err != nil {
			t.Fatal(err)
		}
		_, _, err = c.CreateOrderCert(t.Context(), o.FinalizeURL, acmeCSR(t, newKey(t), o.Identifiers), true)
		wantProblem(t, name+": finalizing", err, "unauthorized")
		for what, err := range map[string]error{
			"ordering":   errorOf(c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))),
			"the order":  errorOf(c.GetOrder(t.Context(), o.URI)),
			"authz":      errorOf(c.GetAuthorization(t.Context(), o.AuthzURLs[0])),
			"key change": c.AccountKeyRollover(t.Context(), newKey(t)),
		} {
			wantProblem(t, name+": "+what, err, "unauthorized")
		}
		if _, err := a.xClient(c.Key).GetReg(t.Context(), ""); !errors.Is(err, acme.ErrNoAccount) { // so that clients send a binding
			t.Errorf("%s: looking for the account: %v", name, err)
		}
		if n := a.events("certificate.issue", "allow"); n != 1 {
			t.Errorf("%s: %d certificates were issued, want the one from before", name, n)
		}
		if !servertest.Lists(w.CRL(), had.Leaf) {
			t.Errorf("%s: the certificate from before is not on the CRL", name)
		}
	}

	// An account that has ended stays so: a resumed agent binds a new account.
	if _, err := w.Admin.Resume(t.Context(), "suspended"); err != nil {
		t.Fatal(err)
	}
	in, err := w.Admin.Reenroll(t.Context(), "suspended")
	if err != nil {
		t.Fatal(err)
	}
	a := (&acmeAgent{t: t, w: w, name: "suspended"}).bindable(in)
	a.obtain(a.account(), []string{a.own()})
}

func errorOf[T any](_ T, err error) error { return err }
