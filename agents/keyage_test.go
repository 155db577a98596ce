package agents_test

import (
	"crypto/elliptic"
	"errors"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// TestKeysHaveDates: a key that is registered again keeps its date, one that is
// added gets its own, and those of an earlier version count from the first
// start.
func TestKeysHaveDates(t *testing.T) {
	within(t, func(tx storage.Tx) {
		first, second := publicPEM(t, newECDSA(t, elliptic.P256()).Public()), publicPEM(t, newECDSA(t, elliptic.P256()).Public())
		old, now := now, now.Add(time.Hour)
		add(t, tx, "bot", agents.Change{Keys: []string{first}})
		since := func(n int) time.Time {
			a := get(t, tx, "bot")
			at, err := agents.KeySince(tx, a, a.Keys[n])
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		set := func(at time.Time, keys ...string) {
			if _, err := agents.Set(tx, td, "bot", agents.Change{Keys: keys}, at); err != nil {
				t.Fatal(err)
			}
		}
		set(now, first, second)
		if !since(0).Equal(old.Truncate(time.Second)) || !since(1).Equal(now.Truncate(time.Second)) {
			t.Errorf("since %s and %s", since(0), since(1))
		}
		a := get(t, tx, "bot")
		a.KeyDates = nil // as an earlier version leaves it
		if err := storage.Table[agents.Agent]("agents").Put(tx, "bot", a); err != nil {
			t.Fatal(err)
		}
		later := now.Add(time.Hour)
		if err := errors.Join(agents.DateKeys(tx, later), agents.DateKeys(tx, later.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		if !since(0).Equal(later.Truncate(time.Second)) {
			t.Errorf("of an earlier version: %s, want %s", since(0), later)
		}
		set(later.Add(time.Hour), first)
		if !since(0).Equal(later.Truncate(time.Second)) {
			t.Errorf("registered again: %s, want %s", since(0), later)
		}
	})
}

// TestKeyMaxAgeLeavesTimeForAWarning, unless an agent has no limit of its own or no limit at all.
func TestKeyMaxAgeLeavesTimeForAWarning(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		for d, valid := range map[time.Duration]bool{
			-1: true, 0: true, 1: false, time.Hour: false, 24*time.Hour - time.Second: false, 24 * time.Hour: true, 24*time.Hour + 1: false, 1000 * 24 * time.Hour: true,
		} {
			if _, err := agents.Set(tx, td, "bot", agents.Change{KeyMaxAge: &d}, now); (err == nil) != valid || err != nil && !errors.Is(err, agents.ErrInvalid) {
				t.Errorf("key_max_age %s: %v", d, err)
			}
		}
	})
}

// TestKeyAgeIsLimited by the agent's own limit, or else by the usual one.
func TestKeyAgeIsLimited(t *testing.T) {
	const day = 24 * time.Hour
	for _, x := range []struct {
		own   *time.Duration
		usual time.Duration
		age   time.Duration
		old   bool
	}{
		{nil, 0, 1000 * day, false}, {nil, 10 * day, 10*day - 1, false}, {nil, 10 * day, 10 * day, true},
		{new(20 * day), 10 * day, 10 * day, false}, {new(20 * day), 0, 20 * day, true}, {new(time.Duration(0)), 10 * day, 1000 * day, false},
	} {
		err := agents.Agent{KeyMaxAge: x.own}.CheckKeyAge(now, x.usual, now.Add(x.age))
		if errors.Is(err, agents.ErrKeyTooOld) != x.old {
			t.Errorf("%v, %v: %v", x.own, x.usual, err)
		}
	}
	if m := (agents.KeyMaxAges{Lasting: day}); m.OfRegistered() != day || (agents.KeyMaxAges{Lasting: day, Registered: time.Hour}).OfRegistered() != time.Hour {
		t.Errorf("%v", m.OfRegistered())
	}
}
