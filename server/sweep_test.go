package server

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

const revoked = storage.Partitioned[string]("revocations")

// TestSweepingForgetsNothingThatMayBeNeeded sets the clock ahead and, after
// some time, back: the record of a revocation must be there as long as the
// credential lives by the clock that was right all along.
func TestSweepingForgetsNothingThatMayBeNeeded(t *testing.T) {
	for name, test := range map[string]struct{ ahead, wrong, lives time.Duration }{
		"a token, for longer than it lives": {6 * time.Hour, 4 * time.Hour, 5 * time.Hour},
		"a certificate of a day":            {30 * time.Hour, 8 * time.Hour, 24 * time.Hour},
		"by little, for long":               {2 * time.Hour, 20 * time.Hour, 21 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, m := newSweepWorld(t)
				defer s.db.Close()
				expires := m.now().Add(test.lives)
				put(t, s, expires)
				s.sweepFor(30 * time.Minute)
				m.ahead = test.ahead
				s.sweepFor(test.wrong)
				m.ahead = 0
				s.sweepFor(10 * time.Minute)
				if !has(t, s, expires) {
					t.Fatal("the revocation is forgotten before the credential expired")
				}
				s.sweepFor(24*time.Hour + test.lives + 3*time.Hour)
				if has(t, s, expires) {
					t.Error("the record is kept for ever")
				}
			})
		})
	}
}

// TestSweepingKeepsUp drops what expired within three hours, when nobody sets
// the clock, also in a process that was stopped for a while.
func TestSweepingKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := newSweepWorld(t)
		defer s.db.Close()
		for range 2 {
			expires := m.now().Add(time.Hour)
			put(t, s, expires)
			s.sweepFor(time.Hour)
			if !has(t, s, expires) {
				t.Error("dropped before it expired")
			}
			s.sweepFor(3 * time.Hour)
			if has(t, s, expires) {
				t.Error("not dropped three hours after it expired")
			}
			s.clock = clock.New(m.now, clock.Record{Latest: m.now().Add(-2 * time.Minute)}, time.Hour)
			s.sweeper = newSweeper(s.db, s.clock, s.log)
		}
	})
}

// TestSweepingKeepsRecordsOfCompromisedKeys: they say which keys are compromised until
// those are remembered.
func TestSweepingKeepsRecordsOfCompromisedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := newSweepWorld(t)
		defer s.db.Close()
		expires := m.now().Add(time.Hour)
		put(t, s, expires)
		settle := func(change func(storage.Tx) error) {
			t.Helper()
			if err := s.db.Update(context.Background(), change); err != nil {
				t.Fatal(err)
			}
		}
		settle(func(tx storage.Tx) error {
			return agents.CutOwner(tx, "team", agents.Cutoff{At: m.now(), Reason: agents.KeyCompromise})
		})
		s.sweepFor(5 * time.Hour)
		if !has(t, s, expires) {
			t.Error("dropped before the keys were remembered")
		}
		settle(func(tx storage.Tx) error {
			at, err := agents.Unsettled(tx)
			return errors.Join(err, agents.Settle(tx, at))
		})
		s.sweepFor(3 * time.Hour)
		if has(t, s, expires) {
			t.Error("not dropped after the keys were remembered")
		}
	})
}

// A machine has a clock that a test sets.
type machine struct{ ahead time.Duration }

func (m *machine) now() time.Time { return time.Now().Add(m.ahead) }

type sweepWorld struct{ *sweeper }

func newSweepWorld(t *testing.T) (*sweepWorld, *machine) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := new(machine)
	return &sweepWorld{newSweeper(db, clock.New(m.now, clock.Record{}, time.Hour), slog.New(slog.DiscardHandler))}, m
}

// sweepFor sweeps every five minutes, as the server's loop does.
func (s *sweepWorld) sweepFor(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Minute) {
		s.run(context.Background())
	}
}

func put(t *testing.T, s *sweepWorld, expires time.Time) {
	t.Helper()
	err := s.db.Update(context.Background(), func(tx storage.Tx) error { return revoked.Put(tx, expires, "serial", "why") })
	if err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, s *sweepWorld, expires time.Time) (found bool) {
	t.Helper()
	err := s.db.View(context.Background(), func(tx storage.Tx) error {
		_, err := revoked.Get(tx, expires, "serial")
		found = err == nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
