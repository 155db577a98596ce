package ca_test

import (
	"crypto"
	"crypto/x509"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage/keys"
)

// An elsewhere is a Source whose private halves cannot be looked at, as in hardware.
type elsewhere struct{ keys.Source }

// An opaque signs and shows its public half, and nothing else.
type opaque struct{ crypto.Signer }

func (e elsewhere) Signer(k keys.Key) (crypto.Signer, error) {
	s, err := e.Source.Signer(k)
	if two, ok := s.(keys.AlternativeSigner); ok {
		return keys.AlternativeSigner{Signer: opaque{two.Signer}, Alternative: opaque{two.Alternative}}, err
	}
	return opaque{s}, err
}

// TestPrivateHalvesMayLiveElsewhere: a CA needs of its keys only that they sign.
func TestPrivateHalvesMayLiveElsewhere(t *testing.T) {
	for _, a := range []keys.Algorithm{keys.ECDSAP256, "mldsa44", "mldsa44-ed25519-sha512", "ecdsa-p256+mldsa44"} {
		w := newWorld(t, func(p *catest.Plan) { p.Algorithm = a })
		w.Add("api", agents.Change{})
		authority, err := ca.New(ca.Config{
			DB: w.DB, Policy: &policy.Point{DB: w.DB}, Keys: elsewhere{w.Keys}, TrustDomain: catest.TrustDomain, BaseURL: catest.BaseURL, Clock: w.Clock(),
		})
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		issued, err := authority.Issue(t.Context(), catest.Ask("api", catest.CSR(t)))
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		leaf := must(pkix.ParseCertificate(issued.DER))(t)
		_, err = leaf.Verify(&pkix.Options{
			Roots: []*pkix.Certificate{must(pkix.ParseCertificate(w.root.Raw))(t)}, Intermediates: []*pkix.Certificate{must(pkix.ParseCertificate(w.issuer.Raw))(t)},
			Time: w.now, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, RequireHybrid: a != keys.ECDSAP256,
		})
		if err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}
