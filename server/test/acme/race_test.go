package acme_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestACMEFinalizeRace finalizes one order sixteen times at once: it gives one
// certificate, and the order shows that one.
func TestACMEFinalizeRace(t *testing.T) {
	w := servertest.New(t)
	for round := range 4 {
		a := addACME(t, w, fmt.Sprintf("shop-%d", round), agents.Change{}) // an agent that is refused too often must wait
		c := a.account()
		o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		var got [][]byte
		begin := make(chan struct{})
		for range 16 {
			csr, one := acmeCSR(t, newKey(t), o.Identifiers), a.xClient(c.Key)
			one.KID = c.KID
			if _, err := one.Discover(t.Context()); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				<-begin
				chain, _, err := one.CreateOrderCert(t.Context(), o.FinalizeURL, csr, false)
				if err != nil {
					wantProblem(t, "finalizing second", err, "orderNotReady")
					return
				}
				mu.Lock()
				defer mu.Unlock()
				got = append(got, chain[0])
			})
		}
		close(begin)
		all.Wait()
		if len(got) != 1 {
			t.Fatalf("%d of 16 got a certificate", len(got))
		}
		o, err = c.GetOrder(t.Context(), o.URI)
		if err != nil || o.Status != acme.StatusValid {
			t.Fatalf("the order is %+v, %v", o, err)
		}
		if chain, err := c.FetchCert(t.Context(), o.CertURL, false); err != nil || !bytes.Equal(chain[0], got[0]) {
			t.Errorf("the order shows another certificate than was answered, %v", err)
		}
		if n := a.events("certificate.issue", "allow"); n != 1 {
			t.Errorf("the audit log tells of %d certificates", n)
		}
		certs, err := w.Admin.Certificates(t.Context(), a.name, "")
		if err != nil || len(certs) != 1 {
			t.Errorf("%d certificates are on record, %v", len(certs), err)
		}
	}
}

// TestACMEBindingRace has two clients use one binding at once: one gets an
// account.
func TestACMEBindingRace(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	for round := range 8 {
		if round > 0 {
			in, err := w.Admin.Reenroll(t.Context(), a.name)
			if err != nil {
				t.Fatal(err)
			}
			a.bindable(in)
		}
		var all sync.WaitGroup
		errs := make([]error, 2)
		begin := make(chan struct{})
		for i := range errs {
			c := a.xClient(newKey(t))
			if _, err := c.Discover(t.Context()); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				<-begin
				_, errs[i] = a.register(c)
			})
		}
		close(begin)
		all.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("two binds at once: %v and %v, want one to win", errs[0], errs[1])
		}
		wantProblem(t, "the second bind", errors.Join(errs...), "unauthorized")
	}
}

// TestACMEKeyChangeRace has two accounts take the same new key at once.
func TestACMEKeyChangeRace(t *testing.T) {
	w := servertest.New(t)
	one, two := addACME(t, w, "one", agents.Change{}).account(), addACME(t, w, "two", agents.Change{}).account()
	next := newKey(t)
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i, c := range []*acme.Client{one, two} {
		all.Go(func() { errs[i] = c.AccountKeyRollover(t.Context(), next) })
	}
	all.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("two accounts that take one key: %v and %v, want one to win", errs[0], errs[1])
	}
	var conflict *acme.Error
	if err := errors.Join(errs...); !errors.As(err, &conflict) || conflict.StatusCode != http.StatusConflict {
		t.Errorf("the second change: %v, want 409", err)
	}
}

// TestACMESuspensionRace suspends an agent while its client finalizes: it has a
// certificate that is revoked, or none.
func TestACMESuspensionRace(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	for round := range 6 {
		if round > 0 {
			if _, err := w.Admin.Resume(t.Context(), a.name); err != nil {
				t.Fatal(err)
			}
			in, err := w.Admin.Reenroll(t.Context(), a.name)
			if err != nil {
				t.Fatal(err)
			}
			a.bindable(in)
		}
		c := a.account()
		o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
		if err != nil {
			t.Fatal(err)
		}
		csr := acmeCSR(t, newKey(t), o.Identifiers)
		var all sync.WaitGroup
		all.Go(func() { _, _, err = c.CreateOrderCert(t.Context(), o.FinalizeURL, csr, false) })
		all.Go(func() {
			if _, err := w.Admin.Suspend(t.Context(), a.name, ""); err != nil {
				t.Error("suspending: ", err)
			}
		})
		all.Wait()
		if err != nil {
			wantProblem(t, "finalizing", err, "unauthorized")
		}
		certs, err := w.Admin.Certificates(t.Context(), a.name, "active")
		if err != nil || len(certs) > 0 {
			t.Errorf("a suspended agent has the certificates %+v, %v", certs, err)
		}
	}
}
