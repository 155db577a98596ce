package agents_test

import (
	"crypto/elliptic"
	"errors"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// TestReturningKeyIsNoYounger: a key that was not registered meanwhile counts from when it was
// registered first, whoever took it away, and an agent cannot have it back in the place of another.
func TestReturningKeyIsNoYounger(t *testing.T) {
	within(t, func(tx storage.Tx) {
		first, second := publicPEM(t, newECDSA(t, elliptic.P256()).Public()), publicPEM(t, newECDSA(t, elliptic.P256()).Public())
		old, young := parsed(t, first), parsed(t, second)
		add(t, tx, "bot", agents.Change{Keys: []string{first}})
		set := func(at time.Time, keys ...string) {
			t.Helper()
			if _, err := agents.Set(tx, td, "bot", agents.Change{Keys: keys}, at); err != nil {
				t.Fatal(err)
			}
		}
		was := func(k agents.PublicKey, want time.Time) {
			t.Helper()
			if at, err := agents.KeySince(tx, get(t, tx, "bot"), k); err != nil || !at.Equal(want.Truncate(time.Second)) {
				t.Errorf("since %s, %v; want %s", at, err, want)
			}
		}
		set(now.Add(time.Hour), second)
		set(now.Add(2*time.Hour), first)
		was(old, now)
		set(now.Add(3*time.Hour), []string{}...)
		set(now.Add(4*time.Hour), first, second)
		was(old, now)
		was(young, now.Add(time.Hour))
		if _, err := agents.DropKeys(tx, "bot", func(k agents.PublicKey) bool { return string(k) == string(old) }, now.Add(5*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := agents.ReplaceKey(tx, "bot", young, old, now.Add(6*time.Hour)); !errors.Is(err, agents.ErrInvalid) {
			t.Errorf("replaced by a former key: %v", err)
		}
		next := parsed(t, publicPEM(t, newECDSA(t, elliptic.P256()).Public()))
		if _, _, err := agents.ReplaceKey(tx, "bot", young, next, now.Add(7*time.Hour)); err != nil {
			t.Fatal(err)
		}
		set(now.Add(8*time.Hour), second)
		was(young, now.Add(time.Hour))
	})
}

// TestFormerKeysAreBounded: an agent has the latest ones on record.
func TestFormerKeysAreBounded(t *testing.T) {
	within(t, func(tx storage.Tx) {
		key := publicPEM(t, newECDSA(t, elliptic.P256()).Public())
		add(t, tx, "bot", agents.Change{Keys: []string{key}})
		last := parsed(t, key)
		for n := range 20 {
			next := parsed(t, publicPEM(t, newECDSA(t, elliptic.P256()).Public()))
			if _, _, err := agents.ReplaceKey(tx, "bot", last, next, now.Add(time.Duration(n)*time.Hour)); err != nil {
				t.Fatal(err)
			}
			last = next
		}
		if got := get(t, tx, "bot").FormerKeys; len(got) != 16 || !got[15].Since.Equal(now.Add(18*time.Hour).Truncate(time.Second)) {
			t.Errorf("%d former keys: %v", len(got), got)
		}
	})
}

func parsed(t *testing.T, text string) agents.PublicKey {
	t.Helper()
	k, err := agents.ParsePublicKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}
