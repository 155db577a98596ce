package acme_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// again has a client come back with its account key and a new binding, as stock clients do
// that keep the key.
func (a *acmeAgent) again(c *acme.Client) (*acme.Account, error) {
	a.t.Helper()
	in, err := a.w.Admin.Reenroll(a.t.Context(), a.name)
	if err != nil {
		a.t.Fatal(err)
	}
	a.bindable(in)
	back := a.xClient(c.Key)
	return a.register(back)
}

// endings are the ways in which an operator can end an account, without and with the
// word that a key is compromised.
func endings(t *testing.T, w *servertest.World, a *acmeAgent, reason string) map[string]func() error {
	revoke := func(s api.Selection) func() error {
		return func() error { s.Reason = reason; _, err := w.Admin.Revoke(t.Context(), s); return err }
	}
	return map[string]func() error{
		"suspended": func() error {
			if _, err := w.Admin.Suspend(t.Context(), a.name, reason); err != nil {
				return err
			}
			_, err := w.Admin.Resume(t.Context(), a.name)
			return err
		},
		"by agent": revoke(api.Selection{Agent: a.name}),
		"by owner": revoke(api.Selection{Owner: "shops"}),
		"by time":  revoke(api.Selection{Agent: a.name, IssuedSince: w.Clock.Now().Add(-time.Hour)}),
	}
}

// TestACMEComesBack: after suspend, resume and reenroll, a client that keeps its account
// key has its account again, under the same URL, and nothing else from before.
func TestACMEComesBack(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{Owner: new("shops")})
	c := a.account()
	for how, end := range endings(t, w, a, "superseded") {
		w.Clock.Advance(time.Second)
		before, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
		if err != nil {
			t.Fatal(how, err)
		}
		if err := end(); err != nil {
			t.Fatal(how, err)
		}
		w.Clock.Advance(time.Second)
		_, err = c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
		wantProblem(t, how+": ordering", err, "unauthorized")
		if err == nil || !strings.Contains(err.Error(), "register again with the external account binding key") {
			t.Errorf("%s: the answer does not name the client's step: %v", how, err)
		}
		_, err = a.register(a.xClient(c.Key))
		wantProblem(t, how+": with the used binding", err, "unauthorized")
		got, err := a.again(c)
		if err != nil || got.URI != string(c.KID) || got.Status != acme.StatusValid {
			t.Fatalf("%s: came back as %+v, %v", how, got, err)
		}
		_, err = c.GetOrder(t.Context(), before.URI)
		wantProblem(t, how+": an order from before", err, "malformed")
		_, _, err = c.CreateOrderCert(t.Context(), before.FinalizeURL, acmeCSR(t, newKey(t), before.Identifiers), true)
		wantProblem(t, how+": finalizing an order from before", err, "malformed")
		a.obtain(c, []string{a.own()})
	}
	w.Stop()
	w.Start()
	a.obtain(c, []string{a.own()})
}

// TestACMECompromisedStaysDead: if a key may be compromised, its account is not opened
// again, whatever is revoked later for other reasons.
func TestACMECompromisedStaysDead(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{Owner: new("shops")})
	for how, end := range endings(t, w, a, "keyCompromise") {
		w.Clock.Advance(time.Second)
		c := a.account()
		if err := end(); err != nil {
			t.Fatal(how, err)
		}
		for range 2 {
			w.Clock.Advance(time.Second)
			_, err := a.again(c)
			wantProblem(t, how+": coming back", err, "unauthorized")
			if err == nil || !strings.Contains(err.Error(), "new account key") {
				t.Errorf("%s: the answer does not name the client's step: %v", how, err)
			}
			if _, err := w.Admin.Revoke(t.Context(), api.Selection{Agent: a.name, Reason: "superseded"}); err != nil {
				t.Fatal(err)
			}
		}
		w.Clock.Advance(time.Second)
		in, err := w.Admin.Reenroll(t.Context(), a.name)
		if err != nil {
			t.Fatal(err)
		}
		a.bindable(in)
	}
	// An account that came back ends if its key turns out to have been compromised
	// before.
	w.Clock.Advance(time.Second)
	c := a.account()
	w.Clock.Advance(time.Minute)
	if _, err := w.Admin.Revoke(t.Context(), api.Selection{Agent: a.name, Reason: "superseded"}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Minute)
	if _, err := a.again(c); err != nil {
		t.Fatal(err)
	}
	a.obtain(c, []string{a.own()})
	early := api.Selection{Agent: a.name, IssuedBefore: w.Clock.Now().Add(-time.Minute - 30*time.Second), Reason: "keyCompromise"}
	if _, err := w.Admin.Revoke(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	_, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
	wantProblem(t, "with a key that was compromised before", err, "unauthorized")
}

// TestACMEKeyOfAnotherAgent: an account key with another agent's binding does not get
// the account of the first agent, and the binding is not used up.
func TestACMEKeyOfAnotherAgent(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	c := a.account()
	other := addACME(t, w, "bank", agents.Change{})
	for _, state := range []string{"alive", "ended"} {
		_, err := other.register(other.xClient(c.Key))
		wantProblem(t, state, err, "unauthorized")
		if err == nil || !strings.Contains(err.Error(), "another agent") || !strings.Contains(err.Error(), "new account key") {
			t.Errorf("%s: the answer does not say what to do: %v", state, err)
		}
		if _, err := w.Admin.Revoke(t.Context(), api.Selection{Agent: a.name}); err != nil {
			t.Fatal(err)
		}
	}
	if n := other.events("acme.account.create", "deny"); n != 2 {
		t.Errorf("%d refusals are recorded, want 2", n)
	}
	other.obtain(other.account(), []string{other.own()})
}
