package acme_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/rawacme"
)

// TestACMERevoke revokes certificates by each key that may (RFC 8555, section
// 7.6), and is refused by all others.
func TestACMERevoke(t *testing.T) {
	w := servertest.New(t)
	a, other := addACME(t, w, "shop", agents.Change{}), addACME(t, w, "other", agents.Change{})
	c, stranger := a.account(), other.account()
	in, err := w.Admin.Reenroll(t.Context(), a.name)
	if err != nil {
		t.Fatal(err)
	}
	sibling := a.bindable(in).account() // another account of the same agent: it is authorized for the name

	for who, revoke := range map[string]func(tls.Certificate) error{
		"account key": func(cert tls.Certificate) error {
			return c.RevokeCert(t.Context(), nil, cert.Certificate[0], acme.CRLReasonSuperseded)
		},
		"certificate key": func(cert tls.Certificate) error {
			return stranger.RevokeCert(t.Context(), cert.PrivateKey.(*ecdsa.PrivateKey), cert.Certificate[0], acme.CRLReasonKeyCompromise)
		},
		"another account that is authorized": func(cert tls.Certificate) error {
			return sibling.RevokeCert(t.Context(), nil, cert.Certificate[0], acme.CRLReasonUnspecified)
		},
	} {
		cert, kept := a.obtain(c, []string{a.own()}), a.obtain(c, []string{a.own()})
		if err := stranger.RevokeCert(t.Context(), nil, cert.Certificate[0], acme.CRLReasonUnspecified); problemType(err) != "unauthorized" {
			t.Errorf("revoking another agent's certificate: %v", err)
		}
		err := stranger.RevokeCert(t.Context(), kept.PrivateKey.(*ecdsa.PrivateKey), cert.Certificate[0], acme.CRLReasonUnspecified)
		wantProblem(t, "revoking by the key of another certificate", err, "unauthorized")
		err = c.RevokeCert(t.Context(), nil, cert.Certificate[0], 7) // unused in RFC 5280
		wantProblem(t, "revoking for reason 7", err, "badRevocationReason")
		err = c.RevokeCert(t.Context(), nil, cert.Certificate[0], acme.CRLReasonCACompromise)
		wantProblem(t, "revoking since the CA is compromised", err, "badRevocationReason")
		if servertest.Lists(w.CRL(), cert.Leaf) {
			t.Fatal("the certificate is on the CRL although every revocation was refused")
		}

		if err := revoke(cert); err != nil {
			t.Errorf("revoking by %s: %v", who, err)
			continue
		}
		list := w.CRL()
		if !servertest.Lists(list, cert.Leaf) || servertest.Lists(list, kept.Leaf) {
			t.Errorf("revoked by %s: the CRL has the certificate: %t, the other: %t", who, servertest.Lists(list, cert.Leaf), servertest.Lists(list, kept.Leaf))
		}
		// The library takes this one for success.
		err = rawacme.From(c).Revoke(cert.Certificate[0])
		wantProblem(t, "revoking again", err, "alreadyRevoked")
	}
	if n := other.events("certificate.revoke", "deny"); n < 3 {
		t.Errorf("%d refused revocations are in the audit log, want at least 3", n)
	}

	// A certificate that is not ours.
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: a.obtain(c, []string{a.own()}).Leaf.SerialNumber, DNSNames: []string{a.own()}}
	forged, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"by an account":     c.RevokeCert(t.Context(), nil, forged, acme.CRLReasonUnspecified),
		"by the key in it":  c.RevokeCert(t.Context(), key, forged, acme.CRLReasonUnspecified),
		"that is only text": c.RevokeCert(t.Context(), nil, []byte("certificate"), acme.CRLReasonUnspecified),
	} {
		wantProblem(t, "revoking a certificate of somebody else's "+what, err, "malformed")
	}
}
