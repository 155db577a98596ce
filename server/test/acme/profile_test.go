package acme_test

import (
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	acmezproto "github.com/mholt/acmez/v3/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestACMEByProfile orders by a profile that has an algorithm of its own, and
// follows the renewal window through rotations (RFC 9773).
func TestACMEByProfile(t *testing.T) {
	const composite = "mldsa44-ed25519-sha512"
	w := servertest.New(t)
	w.Configure("profiles: {composite: {algorithm: " + composite + ", lifetime: 30m}}\n")
	v := servertest.NewVerifier(t, w)
	a := addACME(t, w, "shop", agents.Change{TTL: new(time.Hour)})
	c, account := a.zClient()
	dir, err := c.GetDirectory(t.Context())
	if err != nil || dir.Meta == nil || dir.Meta.Profiles["composite"] != "lives for 30m, or as registered for the agent; signed with "+composite {
		t.Errorf("the directory has %+v, %v", dir.Meta, err)
	}
	obtain := func(profile string) (*servertest.Agent, error) {
		key := newKey(t)
		csr, err := acmez.NewCSR(key, []string{a.own()})
		if err != nil {
			t.Fatal(err)
		}
		params, err := acmez.OrderParametersFromCSR(account, csr)
		if err != nil {
			t.Fatal(err)
		}
		params.Profile = profile
		chains, err := c.ObtainCertificate(t.Context(), params)
		if err != nil {
			return nil, err
		}
		got := &servertest.Agent{World: w, Name: a.name, Key: key}
		got.Cert.Certificate = derChain(t, chains[0].ChainPEM)
		got.Leaf, err = x509.ParseCertificate(got.Cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(got.Leaf, got, false); err != nil {
			t.Errorf("profile %q: %v", profile, err)
		}
		return got, nil
	}
	due := func(with *servertest.Agent) bool {
		t.Helper()
		info, err := c.GetRenewalInfo(t.Context(), with.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		return !info.SuggestedWindow.Start.After(time.Now())
	}

	order := acmezproto.Order{Identifiers: []acmezproto.Identifier{{Type: "dns", Value: a.own()}}, Profile: "composite"}
	_, err = c.NewOrder(t.Context(), account, order)
	wantProblem(t, "a profile without an issuer", err, "invalidProfile")
	order.NotAfter = new(time.Now().Add(10 * time.Minute).UTC().Truncate(time.Second))
	_, err = c.NewOrder(t.Context(), account, order)
	wantProblem(t, "a profile without an issuer, and an end", err, "invalidProfile")
	if n := a.events("acme.order", "deny"); n != 2 {
		t.Errorf("%d refused orders are recorded, want 2", n)
	}
	if n := a.events("certificate.issue", "allow"); n != 0 {
		t.Errorf("%d certificates came of it", n)
	}

	k, err := w.Admin.RotateKeyTo(t.Context(), "profile-issuer", composite)
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := obtain("composite")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := obtain("15m")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%x", hybrid.Leaf.AuthorityKeyId) != k.ID || fmt.Sprintf("%x", plain.Leaf.AuthorityKeyId) != w.Issuer {
		t.Errorf("signed by %x and %x, want %s and %s", hybrid.Leaf.AuthorityKeyId, plain.Leaf.AuthorityKeyId, k.ID, w.Issuer)
	}
	if due(hybrid) || due(plain) {
		t.Errorf("due at once: by the profile %v, the other one %v", due(hybrid), due(plain))
	}
	if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", ""); err != nil {
		t.Fatal(err)
	}
	if due(hybrid) || !due(plain) {
		t.Errorf("after a rotation of the issuer, due: by the profile %v, the other one %v", due(hybrid), due(plain))
	}
	if _, err := w.Admin.RotateKeyNow(t.Context(), "profile-issuer", ""); err != nil {
		t.Fatal(err)
	}
	if !due(hybrid) {
		t.Error("after a rotation of its issuer, the certificate of the profile is not due")
	}
	if next, err := obtain("composite"); err != nil || due(next) {
		t.Errorf("its successor: due, or %v", err)
	}
}
