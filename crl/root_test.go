package crl_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// everyKind has one algorithm of each kind of authority.
var everyKind = []keys.Algorithm{keys.ECDSAP256, "ecdsa-p256+mldsa65", "mldsa65-ecdsa-p256-sha512", "mldsa65"}

// root has the roots sign, and returns the state of the only one.
func (w *world) root(all bool) crl.RootState {
	w.t.Helper()
	w.check(w.PublishRoots(w.t.Context(), all))
	roots := w.Roots()
	if len(roots) != 1 || roots[0].Root == "" {
		w.t.Fatalf("roots: %+v", roots)
	}
	return roots[0]
}

// readRoot reads a list of the root and checks what is said of it.
func (w *world) readRoot(l crl.RootList) *pkix.CRL {
	w.t.Helper()
	list, err := pkix.ParseCRL(l.DER)
	w.check(err)
	root, err := pkix.NewCertificate(w.Root)
	w.check(err)
	_, err = list.CheckSignatureFrom(root)
	w.check(err)
	x := list.X509
	if x.Number.Int64() != l.Number || !x.ThisUpdate.Equal(l.ThisUpdate) || !x.NextUpdate.Equal(l.NextUpdate) || len(x.RevokedCertificateEntries) != l.Entries {
		w.t.Errorf("list %s from %s to %s with %d entries is said to be %+v", x.Number, x.ThisUpdate, x.NextUpdate, len(x.RevokedCertificateEntries), l)
	}
	return list
}

// verify checks a chain with lists of every CA in it.
func (w *world) verify(chain [][]byte, lists ...*pkix.CRL) error {
	w.t.Helper()
	var certs []*pkix.Certificate
	for _, der := range append(chain, w.Root.Raw) {
		c, err := pkix.ParseCertificate(der)
		w.check(err)
		certs = append(certs, c)
	}
	last := len(certs) - 1
	_, err := certs[0].Verify(&pkix.Options{
		Roots: certs[last:], Intermediates: certs[1:last], Time: w.now(), Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CRLs: lists, RequireCRLs: true,
	})
	return err
}

// TestWholeChainHasRevocationData: with the lists of issuer and root, a verifier that
// asks for a list of every CA accepts a certificate, and refuses it once the issuer is
// revoked.
func TestWholeChainHasRevocationData(t *testing.T) {
	for _, algorithm := range everyKind {
		t.Run(string(algorithm), func(t *testing.T) {
			w := newWorld(t, algorithm)
			w.Add("bot", agents.Change{})
			issued, err := w.CA.Issue(t.Context(), catest.Ask("bot", w.csr))
			w.check(err)
			lists, err := w.Publish(t.Context())
			w.check(err)
			ofIssuer, err := pkix.ParseCRL(lists[0].DER)
			w.check(err)
			first := w.root(false)
			for _, l := range []crl.RootList{first.Current, *first.Ahead} {
				if err := w.verify(issued.Chain(), ofIssuer, w.readRoot(l)); err != nil {
					t.Error(err)
				}
			}
			w.at(w.now().Add(time.Minute))
			w.Update(func(tx storage.Tx) error {
				return agents.CutIssuer(tx, issued.Issuer.ID, agents.Cutoff{At: w.now(), Reason: agents.KeyCompromise})
			})
			second := w.root(false)
			for _, l := range []crl.RootList{second.Current, *second.Ahead} {
				list := w.readRoot(l)
				e := list.X509.RevokedCertificateEntries
				if len(e) != 1 || e[0].SerialNumber.Cmp(w.Issuer.SerialNumber) != 0 || e[0].ReasonCode != 1 || e[0].RevocationTime.After(l.ThisUpdate) {
					t.Errorf("entries %+v, of %s", e, l.ThisUpdate)
				}
				if err := w.verify(issued.Chain(), ofIssuer, list); err == nil || !strings.Contains(err.Error(), "revoked") {
					t.Errorf("with the issuer revoked: %v", err)
				}
			}
			if second.Current.Number != 3 || second.Number != 4 {
				t.Errorf("list %d and %d ahead, want 3 and 4", second.Current.Number, second.Number)
			}
		})
	}
}

// TestRootSignsWhenItIsDue: each day, and when its issuers change, but not at each start.
func TestRootSignsWhenItIsDue(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	for _, step := range []struct {
		what string
		do   func()
		want int64
	}{
		{"at first", func() {}, 1},
		{"again", func() {}, 1},
		{"after a restart", w.restart, 1},
		{"the next day", func() { w.at(w.now().Add(24 * time.Hour)) }, 3},
		{"after a rotation", func() { w.Rotate(keys.Issuer, keys.Ed25519, time.Hour) }, 5},
		{"after that", func() { w.restart() }, 5},
		{"after the clock was set back", func() { w.at(start) }, 7},
		{"after a restore", func() { w.Update(crl.Leap) }, 1<<20 + 9},
	} {
		step.do()
		if got := w.root(false); got.Current.Number != step.want || got.Number != step.want+1 || got.Late {
			t.Errorf("%s: list %d, and %d ahead, late %t; want %d", step.what, got.Current.Number, got.Number, got.Late, step.want)
		}
		w.readRoot(w.Roots()[0].Current)
	}
	if got := w.root(true); got.Current.Number != 1<<20+11 {
		t.Errorf("asked to: list %d", got.Current.Number)
	}
}

// TestListAheadTakesOverWhenTheRootIsAway, over restarts, and the root signs again when
// it is back.
func TestListAheadTakesOverWhenTheRootIsAway(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	first := w.root(false)
	back := w.Away(keys.Root)
	day := func(n int) { w.at(start.Add(time.Duration(n) * 24 * time.Hour)) }
	for _, step := range []struct {
		day  int
		want int64
	}{{1, 1}, {3, 1}, {4, 2}, {5, 2}, {100, 2}} {
		day(step.day)
		w.restart()
		got := w.root(false)
		if got.Current.Number != step.want || got.Number != 2 || got.Online || got.Late || !got.Until().Equal(first.Ahead.NextUpdate) {
			t.Errorf("day %d: %+v, want list %d", step.day, got, step.want)
		}
		if list := w.readRoot(got.Current); list.CheckComplete(w.now()) != nil {
			t.Errorf("day %d: the list is not valid", step.day)
		}
	}
	w.Update(func(tx storage.Tx) error {
		return agents.CutIssuer(tx, w.CA.Issuer().ID, agents.Cutoff{At: w.now()})
	})
	if got := w.root(true); got.Current.Number != 2 || !got.Late {
		t.Errorf("with the issuer revoked: %+v", got)
	}
	back()
	if got := w.root(false); got.Current.Number != 3 || got.Late || got.Current.Entries != 1 || !got.Online {
		t.Errorf("when it is back: %+v", got)
	}
}

// TestRootsOfTwoNodes never give one number to two lists.
func TestRootsOfTwoNodes(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	other := crl.NewPublisher(w.DB, w.CA, w.Clock())
	seen := map[int64]string{}
	for range 3 {
		for _, p := range []*crl.Publisher{w.Publisher, other} {
			w.check(p.PublishRoots(t.Context(), true))
			for _, l := range []crl.RootList{p.Roots()[0].Current, *p.Roots()[0].Ahead} {
				if der, taken := seen[l.Number]; taken && der != string(l.DER) {
					t.Errorf("two lists have the number %d", l.Number)
				}
				seen[l.Number] = string(l.DER)
			}
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d lists, want 12", len(seen))
	}
}

// TestRootSignsNothingByAWrongClock: a list that lives for months would outlast the error.
func TestRootSignsNothingByAWrongClock(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.root(false)
	p := crl.NewPublisher(w.DB, w.CA, setBack())
	if err := p.PublishRoots(t.Context(), true); err == nil || !strings.Contains(err.Error(), "clock") || p.Roots()[0].Current.Number != 1 {
		t.Errorf("%v, and list %d", err, p.Roots()[0].Current.Number)
	}
}

// TestIssuersOfOthersAreNotListed: a root whose key is not this authority's publishes
// its own list.
func TestIssuersOfOthersAreNotListed(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.Update(func(tx storage.Tx) error {
		return ca.PutAuthority(tx, ca.Authority{ID: "0a", Root: "0a", Certificate: w.Root.Raw})
	})
	w.root(false)
}

// TestRootListsWhatIsRevokedMeanwhile: an issuer ends while the root signs its list. The list that is
// recorded has it.
func TestRootListsWhatIsRevokedMeanwhile(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	ended := false
	w.Answers = func(*ca.Issuer, []crl.Statement, crl.RootList, time.Time) ([]crl.Answer, error) {
		if !ended {
			ended = true
			w.check(w.DB.Update(t.Context(), func(tx storage.Tx) error { return agents.EndIssuer(tx, w.CA.Issuer().ID, w.now()) }))
		}
		return nil, nil
	}
	if r := w.root(true); r.Current.Entries != 1 || r.Late {
		t.Errorf("%d entries, late: %v", r.Current.Entries, r.Late)
	}
}
