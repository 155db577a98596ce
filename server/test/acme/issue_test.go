package acme_test

import (
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

func parseIP(s string) net.IP { return net.IP(netip.MustParseAddr(s).AsSlice()) }

func ipStrings(c *x509.Certificate) (list []string) {
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return list
}

// TestACMEIssue gets certificates for names that need no challenge, with the
// lifetimes that a client can ask for.
func TestACMEIssue(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{
		DNS: []string{"shop.example.org", "a.shop.example.org", "*.shop.example.org"}, IPs: []string{"192.0.2.7", "2001:db8::7"},
	})
	c := a.account()
	for _, want := range []struct {
		names   []string
		options []acme.OrderOption
		life    time.Duration
	}{
		{names: []string{a.own()}, life: 5 * time.Minute},
		{names: []string{"shop.example.org", "a.shop.example.org", "*.shop.example.org"}, life: 5 * time.Minute},
		{names: []string{"SHOP.example.org"}, life: 5 * time.Minute},
		{names: []string{"shop.example.org"}, options: []acme.OrderOption{acme.WithOrderIssuanceProfile("default")}, life: 5 * time.Minute},
		{names: []string{"shop.example.org"}, options: []acme.OrderOption{acme.WithOrderIssuanceProfile("15m")}, life: 15 * time.Minute},
		{names: []string{"shop.example.org"}, options: []acme.OrderOption{acme.WithOrderIssuanceProfile("1h")}, life: time.Hour},
		{names: []string{"shop.example.org"}, options: []acme.OrderOption{acme.WithOrderNotAfter(time.Now().Add(10 * time.Minute))}, life: 10 * time.Minute},
	} {
		begun := w.Clock.Now()
		cert := a.obtain(c, want.names, want.options...)
		if left := cert.Leaf.NotAfter.Sub(begun); left < want.life-5*time.Second || left > want.life+5*time.Second {
			t.Errorf("%v: the certificate lives for %s, want %s", want.names, left, want.life)
		}
	}
	o, err := c.AuthorizeOrder(t.Context(), append(acme.IPIDs("192.0.2.7", "2001:db8::7"), acme.DomainIDs("shop.example.org")...))
	if err != nil {
		t.Fatal("ordering addresses: ", err)
	}
	a.finish(c, o)

	for what, option := range map[string]acme.OrderOption{
		"notAfter in two hours": acme.WithOrderNotAfter(time.Now().Add(2 * time.Hour)),
		"notAfter in the past":  acme.WithOrderNotAfter(time.Now().Add(-time.Minute)),
		"notBefore":             acme.WithOrderNotBefore(time.Now().Add(time.Minute)),
	} {
		_, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()), option)
		wantProblem(t, what, err, "malformed")
	}
}

// TestACMEAfterRestart has clients go on with nonces that a new process does
// not know, and with an order from before.
func TestACMEAfterRestart(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	c := a.account()
	a.obtain(c, []string{a.own()})
	o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
	if err != nil {
		t.Fatal(err)
	}
	w.Stop()
	w.Start()
	a.finish(c, o) // by badNonce and another try
}

// TestACMEOrdersVanish has orders come to an end, and checks that nothing of
// them stays.
func TestACMEOrdersVanish(t *testing.T) {
	w := servertest.New(t)
	a := addACME(t, w, "shop", agents.Change{})
	c := a.account()
	var last *acme.Order
	for range 3 {
		o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
		if err != nil {
			t.Fatal(err)
		}
		if last != nil {
			a.finish(c, o)
		}
		last = o
	}
	open, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(61 * time.Minute)
	_, _, err = c.CreateOrderCert(t.Context(), open.FinalizeURL, acmeCSR(t, newKey(t), open.Identifiers), true)
	wantProblem(t, "finalizing an expired order", err, "orderNotReady")
	if got, err := c.GetOrder(t.Context(), open.URI); err != nil || got.Status != acme.StatusInvalid {
		t.Errorf("the expired order is %+v, %v", got, err)
	}

	w.Stop()
	if n := dropEnded(t, w, w.Clock.Now().Add(time.Hour)); n == 0 {
		t.Error("no orders were in what ends with its hour")
	}
	w.Start()
	_, err = c.GetOrder(t.Context(), open.URI)
	wantProblem(t, "an order of hours ago", err, "malformed")
	_, err = c.GetOrder(t.Context(), last.URI)
	wantProblem(t, "a finished order of hours ago", err, "malformed")
	a.obtain(c, []string{a.own()})
}

// dropEnded does at once what the server's sweeper does hours later, and
// returns how many partitions of ACME's it dropped.
func dropEnded(t *testing.T, w *servertest.World, at time.Time) (n int) {
	t.Helper()
	db, err := bolt.Open(w.File("brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(tx storage.Tx) error {
		ended, err := storage.Ended(tx, at)
		if err != nil {
			return err
		}
		n = 0
		for _, name := range ended {
			if strings.HasPrefix(name, "acme_") {
				n++
			}
			if err := storage.DropPartition(tx, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
