package ca_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/storage/keys/file"
)

// TestSignatureIsThrownAwayIf something happens between the decision and its
// recording: a signer may be slow.
func TestSignatureIsThrownAwayIf(t *testing.T) {
	for what, c := range map[string]struct {
		happens func(*world)
		want    error
	}{
		"the agent was suspended":             {func(w *world) { w.Suspend("api") }, agents.ErrNotActive},
		"the agent was decommissioned":        {func(w *world) { w.decommission("api") }, agents.ErrNotActive},
		"it was suspended at a later instant": {func(w *world) { w.now = w.now.Add(time.Second); w.Suspend("api") }, agents.ErrNotActive},
		"it was suspended and resumed": {func(w *world) {
			w.Suspend("api")
			w.Update(func(tx storage.Tx) error { _, err := agents.Resume(tx, "api", w.now); return err })
		}, agents.ErrRevoked},
		"its owner was cut off": {func(w *world) {
			w.Update(func(tx storage.Tx) error { return agents.CutOwner(tx, "team", agents.Cutoff{At: w.now}) })
		}, agents.ErrRevoked},
		"the issuer was cut off": {func(w *world) {
			w.Update(func(tx storage.Tx) error { return agents.CutIssuer(tx, w.CA.Issuer().ID, agents.Cutoff{At: w.now}) })
		}, agents.ErrRevoked},
		"the name went to another": {func(w *world) {
			w.Update(func(tx storage.Tx) error {
				_, err := agents.Set(tx, td, "api", agents.Change{DNS: []string{}}, w.now)
				return err
			})
		}, policy.ErrName},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, func(p *catest.Plan) { p.Algorithm = keys.Ed25519 })
			w.Add("api", agents.Change{DNS: []string{"api.example.com"}})
			w.db.afterView = func() { c.happens(w) }
			_, err := w.Issue(t.Context(), catest.Ask("api", csr(t, newECDSA(t, elliptic.P256()), &x509.CertificateRequest{DNSNames: []string{"api.example.com"}})))
			refused(t, what, err, c.want, "")
			w.nothingIssued(t, what, 1)
		})
	}
}

// TestCertificateIsMadeAnewIfItsEndWasSet between the decision and its recording:
// the first signature would outlive the agent.
func TestCertificateIsMadeAnewIfItsEndWasSet(t *testing.T) {
	w := newWorld(t, func(p *catest.Plan) { p.Algorithm = keys.Ed25519 })
	w.Add("api", agents.Change{})
	end := w.now.Add(time.Minute)
	w.db.afterView = func() {
		w.Update(func(tx storage.Tx) error {
			_, err := agents.Set(tx, td, "api", agents.Change{Expires: new(end)}, w.now)
			return err
		})
	}
	issued, err := w.Issue(t.Context(), catest.Ask("api", csr(t, newECDSA(t, elliptic.P256()), nil)))
	if err != nil || !issued.ID.Expires().Equal(end.Truncate(time.Second)) {
		t.Fatalf("got %+v, %v, want a certificate until %s", issued, err, end)
	}
	events := 0
	w.View(func(tx storage.Tx) error {
		for e, err := range audit.Since(tx, 0) {
			if events++; err != nil || e.Decision != audit.Allow || e.Details == nil || !e.Details.NotAfter.Equal(issued.ID.Expires()) ||
				e.Details.Profile != "default" || e.Details.Proof != "a test" || e.Details.KeyThumbprint == "" || e.Details.Lifetime != 60 && e.Details.Lifetime != 59 {
				t.Errorf("recorded is %+v with %+v, %v", e, e.Details, err)
			}
		}
		return nil
	})
	if events != 1 {
		t.Errorf("%d events", events)
	}
}

// TestClaimThatFailsLeavesNothing: the claim runs where the certificate is
// recorded, so that neither is without the other.
func TestClaimThatFailsLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{})
	r := catest.Ask("api", csr(t, newECDSA(t, elliptic.P256()), nil))
	e := must(agents.NewEnrollment(w.now))(t)
	r.Consume = func(tx storage.Tx, _ *ca.Issued) error { return agents.Redeem(tx, e, w.now) } // it was never given out
	_, err := w.Issue(t.Context(), r)
	refused(t, "a claim", err, agents.ErrEnrollment, "")
	w.nothingIssued(t, "a claim", 1)

	marks := storage.Table[string]("marks")
	r.Consume = func(tx storage.Tx, _ *ca.Issued) error { return marks.Put(tx, "k", "claimed") }
	w.db.afterView = func() { w.Suspend("api") }
	_, err = w.Issue(t.Context(), r)
	refused(t, "a good claim of a suspended agent", err, agents.ErrNotActive, "")
	w.nothingIssued(t, "a good claim", 2)
	w.View(func(tx storage.Tx) error {
		if claimed, err := marks.Has(tx, "k"); claimed || err != nil {
			t.Errorf("what entitles to the certificate was used up without one: %t, %v", claimed, err)
		}
		return nil
	})
}

// TestStoreThatFails: no certificate leaves that is not on record, and the
// failure is no refusal.
func TestStoreThatFails(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{})
	r := catest.Ask("api", csr(t, newECDSA(t, elliptic.P256()), nil))
	w.db.afterView = func() { w.db.DB.Close() }
	if issued, err := w.Issue(t.Context(), r); issued != nil || !errors.Is(err, storage.ErrClosed) || policy.IsDenial(err) {
		t.Errorf("got %v, %v", issued, err)
	}
	if issued, err := w.Issue(t.Context(), r); issued != nil || !errors.Is(err, storage.ErrClosed) {
		t.Errorf("got %v, %v", issued, err)
	}
}

// TestAuthorityMustBeWhole: a CA does not start on what does not fit together.
func TestAuthorityMustBeWhole(t *testing.T) {
	w := newWorld(t)
	config := ca.Config{DB: w.db, Policy: &policy.Point{DB: w.db}, Keys: w.Keys, TrustDomain: td, BaseURL: baseURL, Clock: clock.Believing(func() time.Time { return w.now })}
	bad := config
	bad.Profiles = map[string]ca.ProfileConfig{"p": {Lifetime: time.Second}}
	_, err := ca.New(bad)
	refused(t, "a bad profile", err, nil, `profile "p"`)
	bad = config
	bad.Keys = file.NewStore(t.TempDir(), file.NoPassphrase)
	_, err = ca.New(bad)
	refused(t, "no key file", err, nil, "issuer key has no file")

	id, root := w.CA.Issuer().ID, fmt.Sprintf("%x", w.root.SubjectKeyId)
	w.Update(func(tx storage.Tx) error {
		return ca.PutAuthority(tx, ca.Authority{ID: id, Root: root, Certificate: w.root.Raw})
	})
	_, err = ca.New(config)
	refused(t, "another's certificate", err, nil, "is not the one in its certificate")
	w.Update(func(tx storage.Tx) error {
		return ca.PutAuthority(tx, ca.Authority{ID: id, Root: root, Certificate: []byte("junk")})
	})
	_, err = ca.New(config)
	refused(t, "junk", err, nil, "reading the issuer's certificate")
	w.Update(func(tx storage.Tx) error { return tx.Drop("authorities") })
	_, err = ca.New(config)
	refused(t, "no certificate", err, storage.ErrNotFound, id)
	w.Update(func(tx storage.Tx) error { return tx.Drop("keys") })
	_, err = ca.New(config)
	refused(t, "no keys", err, storage.ErrNotFound, "active issuer")
	_ = w.db.DB.Close()
	if _, err := ca.New(config); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
}
