package ca_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestCensusFollows: certificates of before the census, after it, and after more
// events than it reads one by one.
func TestCensusFollows(t *testing.T) {
	w := newWorld(t)
	w.Add("one", agents.Change{})
	w.Add("two", agents.Change{})
	var all []family
	for _, what := range []string{"before the census", "after it", "long after it"} {
		f := newFamily(t)
		all = append(all, f)
		if err := w.ask("one", f.classical); err != nil {
			t.Fatal(err)
		}
		if what == "long after it" {
			w.Update(func(tx storage.Tx) error {
				for range 1<<16 + 1 {
					if _, err := audit.Append(tx, audit.Event{Time: w.now, Actor: "a", Action: "token.mint", Decision: audit.Allow}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for _, f := range all {
			refused(t, what, w.ask("two", f.whole), agents.ErrInvalid, sharesComponent)
		}
		if err := w.ask("two", csrPQ(t, pqKey(t, pqc.MLDSA44Ed25519SHA512))); err != nil {
			t.Errorf("%s, a fresh one: %v", what, err)
		}
	}
}

// TestDamagedLogCertifiesNoComposite: what cannot be looked through is refused.
func TestDamagedLogCertifiesNoComposite(t *testing.T) {
	w := newWorld(t)
	w.Add("one", agents.Change{})
	f := newFamily(t)
	if err := errors.Join(w.ask("one", csrPQ(t, pqKey(t, pqc.MLDSA44Ed25519SHA512))), w.ask("one", f.classical)); err != nil {
		t.Fatal(err)
	}
	w.Update(func(tx storage.Tx) error {
		var last string
		for key := range tx.Scan("audit", "") {
			last = key
		}
		return tx.Delete("audit", last)
	})
	var tampered *audit.TamperError
	if err := w.ask("one", f.whole); !errors.As(err, &tampered) {
		t.Errorf("got %v, want a TamperError", err)
	}
}

// TestCensusStaysSmall: it follows the certificates that are alive.
func TestCensusStaysSmall(t *testing.T) {
	w := newWorld(t)
	w.Add("one", agents.Change{})
	composite := func() {
		t.Helper()
		if err := w.ask("one", csrPQ(t, pqKey(t, pqc.MLDSA44Ed25519SHA512))); err != nil {
			t.Fatal(err)
		}
	}
	if w.mustIssue("one"); w.CensusSize() != 0 {
		t.Error("it was taken, and nobody asked for a composite")
	}
	composite()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 80 {
				if err := w.ask("one", csr(t, newEd25519(t), nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.now = w.now.Add(8 * time.Minute) // they have expired, unless the clock is set back
	f := newFamily(t)
	if err := w.ask("one", f.classical); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(3 * time.Minute)
	composite()
	if n := w.CensusSize(); n != 1 {
		t.Errorf("it knows %d keys, want the one that is alive", n)
	}
	refused(t, "the half that is left", w.ask("one", f.whole), agents.ErrInvalid, sharesComponent)
}
