package crl_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A safe is where a root signs while its key is away from the authority.
type safe struct {
	w      *world
	record ca.Root
	issuer *ca.Issuer
}

// lock takes the root's key away.
func (w *world) lock() safe {
	w.t.Helper()
	s := safe{w: w}
	w.View(func(tx storage.Tx) error {
		all, err := ca.Roots(tx)
		s.record = all[0]
		return err
	})
	issuer, err := w.CA.Open(s.record)
	w.check(err)
	s.issuer = issuer
	w.Away(keys.Root)
	return s
}

// about returns the lists on record and what they should say.
func (s safe) about() (last crl.RootLists, about []crl.Statement) {
	s.w.t.Helper()
	s.w.View(func(tx storage.Tx) (err error) {
		if last, err = crl.Last(tx, s.record.ID); err == nil {
			about, err = crl.Statements(tx, s.record.Issued)
		}
		return err
	})
	return last, about
}

// series has the root sign n lists, as of now.
func (s safe) series(n int) (ders [][]byte) {
	s.w.t.Helper()
	last, about := s.about()
	signed, err := crl.SignSeries(s.issuer, about, last, n, s.w.now(), nil)
	s.w.check(err)
	for _, l := range signed.All() {
		ders = append(ders, l.DER)
	}
	return ders
}

// take reads lists and records them.
func (s safe) take(ders [][]byte) error {
	s.w.t.Helper()
	last, about := s.about()
	next, err := last.Take(s.record.Authority, about, ders, s.w.now())
	if err != nil {
		return err
	}
	s.w.Update(func(tx storage.Tx) error { return next.Replace(tx, last) })
	return nil
}

// TestSeriesCoversItsTime, with every kind of authority: one list takes over from the other before
// that ends, and each is valid when it is published.
func TestSeriesCoversItsTime(t *testing.T) {
	for _, algorithm := range everyKind {
		t.Run(string(algorithm), func(t *testing.T) {
			w := newWorld(t, algorithm)
			w.root(false)
			s := w.lock()
			w.check(s.take(s.series(3)))
			number := int64(3)
			for day := range 97 {
				w.at(start.Add(time.Duration(day) * 24 * time.Hour))
				got := w.root(false)
				if got.Current.Number < number || got.Current.Number > 5 || got.Late || w.readRoot(got.Current).CheckComplete(w.now()) != nil {
					t.Fatalf("day %d: list %d from %s to %s, late %t", day, got.Current.Number, got.Current.ThisUpdate, got.Current.NextUpdate, got.Late)
				}
				if number = got.Current.Number; !got.Until().Equal(start.Add(97 * 24 * time.Hour).Truncate(time.Second)) {
					t.Errorf("day %d: until %s", day, got.Until())
				}
			}
			if number != 5 {
				t.Errorf("the last list was %d", number)
			}
		})
	}
}

// TestWrongClockLosesNoList of a series.
func TestWrongClockLosesNoList(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.root(false)
	s := w.lock()
	w.check(s.take(s.series(12)))
	w.at(start.Add(300 * 24 * time.Hour))
	far := w.root(false).Current.Number
	w.restart()
	w.at(start.Add(time.Hour))
	if got := w.root(false).Current.Number; got != 3 || far != 12 {
		t.Errorf("list %d after list %d", got, far)
	}
}

// TestRootTakesBackASeries: the root signs again when it is here, with the numbers that follow.
func TestRootTakesBackASeries(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.root(false)
	s := w.lock()
	ders := s.series(4)
	w.check(s.take(ders))
	if err := s.take(ders); err == nil || !strings.Contains(err.Error(), "signed already") {
		t.Errorf("taken twice: %v", err)
	}
	if got := w.root(false); got.Number != 6 {
		t.Errorf("list %d is the last", got.Number)
	}
}

// TestListsFromElsewhereAreChecked.
func TestListsFromElsewhereAreChecked(t *testing.T) {
	day := 24 * time.Hour
	for what, c := range map[string]struct {
		lists func(w *world, s safe) [][]byte
		want  string
	}{
		"none":    {func(*world, safe) [][]byte { return nil }, "0 lists"},
		"garbage": {func(*world, safe) [][]byte { return [][]byte{[]byte("x")} }, "list 1"},
		"cut off": {func(_ *world, s safe) [][]byte { l := s.series(1); return [][]byte{l[0][:len(l[0])-1]} }, "list 1"},
		"of another root": {func(w *world, s safe) [][]byte {
			other := newWorld(w.t, keys.Ed25519)
			return other.lock().series(1)
		}, "list 1"},
		"out of order": {func(_ *world, s safe) [][]byte { l := s.series(2); return [][]byte{l[1], l[0]} }, "not yet"},
		"with a gap":   {func(_ *world, s safe) [][]byte { l := s.series(3); return [][]byte{l[0], l[2]} }, "its number is"},
		"twice":        {func(_ *world, s safe) [][]byte { l := s.series(1); return [][]byte{l[0], l[0]} }, "signed already"},
		"by a clock that is ahead": {func(w *world, s safe) [][]byte {
			w.at(start.Add(day))
			defer w.at(start)
			return s.series(1)
		}, "not yet"},
		"by a clock that is behind": {func(w *world, s safe) [][]byte {
			w.at(start.Add(-day))
			defer w.at(start)
			return s.series(1)
		}, "compare the clocks"},
		"that ended": {func(w *world, s safe) [][]byte {
			l := s.series(1)
			w.at(start.Add(38 * day))
			return l
		}, "must end after"},
		"from before a revocation": {func(w *world, s safe) [][]byte {
			l := s.series(1)
			w.Update(func(tx storage.Tx) error { return agents.EndIssuer(tx, w.CA.Issuer().ID, w.now()) })
			return l
		}, "it lacks the issuer"},
		"that revoke too much": {func(w *world, s safe) [][]byte {
			last, about := s.about()
			about[0].Revoked, about[0].Cutoff = true, agents.Cutoff{At: w.now(), Reason: agents.KeyCompromise}
			signed, err := crl.SignSeries(s.issuer, about, last, 1, w.now(), nil)
			w.check(err)
			return [][]byte{signed.Current.DER}
		}, "which is not revoked here"},
	} {
		w := newWorld(t, keys.Ed25519)
		w.root(false)
		s := w.lock()
		if err := s.take(c.lists(w, s)); !errors.Is(err, agents.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
		w.at(start)
		if got := w.root(false); got.Number != 2 {
			t.Errorf("%s: list %d is on record", what, got.Number)
		}
	}
}

// TestRevokedIssuerIsUnlistedUntilItsRootSigns.
func TestRevokedIssuerIsUnlistedUntilItsRootSigns(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.root(false)
	s := w.lock()
	id := w.CA.Issuer().ID
	w.Update(func(tx storage.Tx) error { return agents.EndIssuer(tx, id, w.now()) })
	if got := w.root(false).Unlisted; len(got) != 1 || got[0] != id {
		t.Errorf("unlisted: %q", got)
	}
	w.check(s.take(s.series(2)))
	if got := w.root(false); got.Unlisted != nil || got.Late || got.Current.Entries != 1 {
		t.Errorf("with its list: %+v", got)
	}
}
