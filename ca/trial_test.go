package ca_test

import (
	"crypto/x509"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestTrialIsTrustedByNobody: it looks like what would be issued, but no root that
// anybody trusts is above it, and nothing of it is on record.
func TestTrialIsTrustedByNobody(t *testing.T) {
	w := newWorld(t)
	w.Add("bot", agents.Change{})
	w.mustIssue("bot")
	root := must(pkix.NewCertificate(w.root))(t)
	for _, a := range []keys.Algorithm{keys.ECDSAP256, "ecdsa-p256+mldsa44", "mldsa65-ed25519-sha512", "mldsa44"} {
		trial := must(w.Trial(t.Context(), keys.Issuer, a))(t)
		leaf := must(pkix.ParseCertificate(trial.Leaf))(t)
		above := must(pkix.ParseCertificate(trial.Issuer.Certificate()))(t)
		if _, err := leaf.CheckSignatureFrom(above); err != nil {
			t.Errorf("%s: %v", a, err)
		}
		if got := leaf.X509.URIs[0].String(); got != "spiffe://example.internal/agent/bot" {
			t.Errorf("%s: it is like one for %s", a, got)
		}
		options := &pkix.Options{Roots: []*pkix.Certificate{root}, Intermediates: []*pkix.Certificate{above}, Time: w.now, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		if _, err := leaf.Verify(options); err == nil {
			t.Errorf("%s: the authority's root vouches for a trial", a)
		}
		w.View(func(tx storage.Tx) error {
			if _, err := ca.Find(tx, leaf.X509); err == nil {
				t.Errorf("%s: a trial is on record", a)
			}
			_, issuers, err := ca.Authorities(tx)
			if len(issuers) != 1 {
				t.Errorf("%s: %d issuers are on record", a, len(issuers))
			}
			return err
		})
	}
}
