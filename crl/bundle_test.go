package crl_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// bundled returns the lists in the bundle.
func (w *world) bundled() (all []*pkix.CRL) {
	w.t.Helper()
	b, err := w.Bundle(w.t.Context())
	w.check(err)
	end := time.Time{}
	for block, rest := pem.Decode(b.PEM); block != nil; block, rest = pem.Decode(rest) {
		l, err := pkix.ParseCRL(block.Bytes)
		w.check(err)
		if block.Type != "X509 CRL" || len(block.Headers) > 0 {
			w.t.Errorf("a block %q with %v", block.Type, block.Headers)
		}
		if all = append(all, l); end.IsZero() || l.X509.NextUpdate.Before(end) {
			end = l.X509.NextUpdate
		}
	}
	if !b.NextUpdate.Equal(end) {
		w.t.Errorf("its first list ends at %s, and it says %s", end, b.NextUpdate)
	}
	return all
}

// TestBundleIsEnoughForTheWholeChain, with every kind of authority, for a day, and it has
// a revocation when the revocation is published.
func TestBundleIsEnoughForTheWholeChain(t *testing.T) {
	for _, algorithm := range everyKind {
		t.Run(string(algorithm), func(t *testing.T) {
			w := newWorld(t, algorithm)
			publish := func() {
				_, err := w.Publish(t.Context())
				w.check(err)
			}
			publish()
			if _, err := w.Bundle(w.t.Context()); !errors.Is(err, crl.ErrIncomplete) {
				t.Errorf("without the root's: %v", err)
			}
			w.root(false)
			w.Add("good", agents.Change{})
			w.Add("bad", agents.Change{})
			good, err := w.CA.Issue(t.Context(), catest.Ask("good", w.csr))
			w.check(err)
			bad, err := w.CA.Issue(t.Context(), catest.Ask("bad", catest.CSR(t)))
			w.check(err)
			if err := w.verify(bad.Chain(), w.bundled()...); err != nil {
				t.Error(err)
			}
			w.Suspend("bad")
			publish()
			all := w.bundled()
			if err := w.verify(good.Chain(), all...); err != nil {
				t.Error(err)
			}
			if err := w.verify(bad.Chain(), all...); !errors.Is(err, pkix.ErrRevoked) {
				t.Errorf("after the suspension: %v", err)
			}
			if left := all[0].X509.NextUpdate.Sub(w.now().Truncate(time.Second)); len(all) != 2 || left != 24*time.Hour {
				t.Errorf("%d lists, the first for %s", len(all), left)
			}
		})
	}
}

// TestBundleChangesWithItsEntries, and in good time before its end: those who poll need not
// load it again each minute.
func TestBundleChangesWithItsEntries(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	w.ForFiles = 8 * time.Hour
	w.root(false)
	w.Add("bot", agents.Change{})
	served := w.served()
	tag := ""
	for _, step := range []struct {
		what    string
		do      func()
		changed bool
	}{
		{"at first", func() {}, true},
		{"again", func() {}, false},
		{"later", func() { w.at(w.now().Add(time.Hour)) }, false},
		{"after a suspension", func() { w.issue("bot"); w.Suspend("bot") }, true},
		{"after that", func() {}, false},
		{"when the entry has gone", func() { w.at(w.now().Add(time.Hour)); w.publishRegular() }, true},
		{"just before a quarter", func() { w.at(w.now().Add(2*time.Hour - time.Second)) }, false},
		{"after a quarter", func() { w.at(w.now().Add(time.Second)) }, true},
		{"after the root has signed", func() { w.root(true) }, true},
		{"after the clock was set back", func() { w.at(start) }, true},
		{"after a rotation", func() { w.Rotate(keys.Issuer, keys.ECDSAP256, time.Hour) }, true},
	} {
		step.do()
		w.publishRegular()
		got := served("GET", crl.BundlePath)
		if got.status != http.StatusOK || (got.header.Get("ETag") != tag) != step.changed {
			t.Errorf("%s: %d, %s after %s; changed should be %t", step.what, got.status, got.header.Get("ETag"), tag, step.changed)
		}
		tag = got.header.Get("ETag")
		if again := served("GET", crl.BundlePath, "If-None-Match", tag); again.status != http.StatusNotModified {
			t.Errorf("%s: asked again, %d", step.what, again.status)
		}
		number := w.bundled()[0].X509.Number.Int64()
		if now := w.Current()[0].Number; number >= now || step.changed && step.what != "after the root has signed" && number != now-1 {
			t.Errorf("%s: list %d in the bundle, and %d beside it", step.what, number, now)
		}
	}
}

// TestNoTwoListsShareANumber, whether they are for files or not.
func TestNoTwoListsShareANumber(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	other := crl.NewPublisher(w.DB, w.CA, w.Clock())
	w.root(false)
	w.check(other.PublishRoots(t.Context(), false))
	w.Add("bot", agents.Change{})
	seen := map[int64]string{}
	note := func(number int64, der []byte) {
		if known, taken := seen[number]; taken && known != string(der) {
			t.Errorf("two lists have the number %d", number)
		}
		seen[number] = string(der)
	}
	for n := range 12 {
		w.issue("bot")
		if n%3 == 0 {
			w.Update(func(tx storage.Tx) error { return agents.CutAgent(tx, "bot", agents.Cutoff{At: w.now()}) })
		}
		w.at(w.now().Add(time.Second))
		for _, p := range []*crl.Publisher{w.Publisher, other} {
			lists, err := p.Publish(t.Context())
			w.check(err)
			b, err := p.Bundle(t.Context())
			w.check(err)
			block, _ := pem.Decode(b.PEM)
			inBundle, err := pkix.ParseCRL(block.Bytes)
			w.check(err)
			note(lists[0].Number, lists[0].DER)
			note(inBundle.X509.Number.Int64(), block.Bytes)
			if got := w.read(lists[0]); len(got.RevokedCertificateEntries) != len(inBundle.X509.RevokedCertificateEntries) {
				t.Errorf("list %d has %d entries, and list %d in the bundle has %d", got.Number, len(got.RevokedCertificateEntries), inBundle.X509.Number, len(inBundle.X509.RevokedCertificateEntries))
			}
		}
	}
}

// TestBundleIsNotServedWithARootsListThatEnded: a server that loaded it would refuse everybody, and
// whoever has an older file keeps it.
func TestBundleIsNotServedWithARootsListThatEnded(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.root(false)
	w.publish()
	w.Away(keys.Root)
	w.at(start.Add(crl.AheadLifetime))
	w.publish()
	if got := w.served()("GET", crl.BundlePath); got.status != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
