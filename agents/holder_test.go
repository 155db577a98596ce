package agents_test

import (
	"errors"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// TestHoldersFollowTheRuleOfCredentials: what an agent holds since an instant
// stands as a credential would that was issued then, by no key that was ever
// cut off, and that neither expires nor was revoked by itself.
func TestHoldersFollowTheRuleOfCredentials(t *testing.T) {
	within(t, func(tx storage.Tx) {
		standing := agents.NewStanding(tx, now)
		for i, s := range situations() {
			if s.state == "unknown" {
				s.revoked = false
			}
			c := s.make(t, tx, i)
			s.expired, s.revoked, s.cuts[2] = false, false, "none"
			want, _ := s.expect()
			for range 2 { // the second time it remembers
				a, err := standing.CheckHolder(c.Agent, c.IssuedAt)
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Fatalf("%+v: got %v, want %v", s, err, want)
				}
				if err == nil && a.Name != c.Agent {
					t.Fatalf("%+v: got agent %s, want %s", s, a.Name, c.Agent)
				}
			}
		}
	})
}

// TestHolderIsNotRevivedByResume: but it may get new credentials from then on.
func TestHolderIsNotRevivedByResume(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		if _, err := agents.Suspend(tx, "bot", agents.KeyCompromise, now); err != nil {
			t.Fatal(err)
		}
		if _, err := agents.Resume(tx, "bot", now.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		later := agents.NewStanding(tx, now.Add(time.Minute))
		for _, since := range []time.Time{now.Add(-time.Hour), now} {
			_, err := later.CheckHolder("bot", since)
			refused(t, since.String(), err, agents.ErrRevoked)
		}
		if _, err := later.CheckHolder("bot", now.Add(1)); err != nil {
			t.Errorf("since the instant after: %v", err)
		}
	})
}

func TestHolderFromAnAheadClock(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		standing := agents.NewStanding(tx, now)
		if _, err := standing.CheckHolder("bot", now.Add(agents.ClockTolerance)); err != nil {
			t.Errorf("within the tolerance: %v", err)
		}
		_, err := standing.CheckHolder("bot", now.Add(agents.ClockTolerance+1))
		refused(t, "beyond it", err, agents.ErrAhead)
	})
}
