package client

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// holds reports whether a file has the registered key of bot.
func (a *authority) holds(t *testing.T, file string) bool {
	t.Helper()
	key, err := readKey(file)
	check(t, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lasting["bot"].(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public())
}

func (a *authority) aged(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keyAge = d
}

func (a *authority) loses() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = true
}

// TestLastingKeyIsReplacedInTime, with the access of its file, and the new one is of use.
func TestLastingKeyIsReplacedInTime(t *testing.T) {
	a := newAuthority(t)
	dir, file := t.TempDir(), a.lastingKey(t)
	check(t, os.Chmod(file, 0o640))
	id, err := a.enrollByKey(t, dir, file)
	check(t, err)
	before, err := os.ReadFile(file)
	check(t, err)
	a.aged(35 * time.Minute)
	check(t, id.Renew(t.Context()))
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, before) {
		t.Errorf("it was replaced too early: %v", err)
	}
	a.aged(37 * time.Minute) // of an hour
	check(t, id.Renew(t.Context()))
	if now, err := os.ReadFile(file); err != nil || bytes.Equal(now, before) || !a.holds(t, file) {
		t.Errorf("it was not replaced: %v", err)
	}
	info, err := os.Stat(file)
	check(t, err)
	if _, err := os.Stat(file + nextSuffix); info.Mode().Perm() != 0o640 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its mode is %v, and the next one is there: %v", info.Mode(), err)
	}
	a.revoke()
	check(t, id.Renew(t.Context()))
}

// TestLostAnswerLosesNoLastingKey: both keys are on the disk, and the agent goes on with the one
// that is registered, whether it has a certificate or not.
func TestLostAnswerLosesNoLastingKey(t *testing.T) {
	for what, meanwhile := range map[string]func(*authority){"alive": func(*authority) {}, "without a certificate": func(a *authority) { a.revoke() }} {
		a := newAuthority(t)
		file := a.lastingKey(t)
		id, err := a.enrollByKey(t, t.TempDir(), file)
		check(t, err)
		a.aged(50 * time.Minute)
		a.loses()
		if err := id.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "lasting key was not replaced") {
			t.Fatalf("%s: %v", what, err)
		}
		if a.holds(t, file) || !a.holds(t, file+nextSuffix) {
			t.Errorf("%s: the keys changed places before the answer", what)
		}
		meanwhile(a)
		check(t, id.Renew(t.Context()))
		if !a.holds(t, file) {
			t.Errorf("%s: the registered key is not in its file", what)
		}
	}
}

// TestUnansweredRequestIsRepeatedWithTheSameKey: the authority may have seen it.
func TestUnansweredRequestIsRepeatedWithTheSameKey(t *testing.T) {
	a := newAuthority(t)
	file := a.lastingKey(t)
	id, err := a.enrollByKey(t, t.TempDir(), file)
	check(t, err)
	a.aged(50 * time.Minute)
	a.breakPath("/v1/keys", problem(503, "later"))
	if err := id.Renew(t.Context()); err == nil {
		t.Error("no error")
	}
	first, err := os.ReadFile(file + nextSuffix)
	check(t, err)
	a.breakPath("/v1/keys", nil)
	check(t, id.Renew(t.Context()))
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, first) {
		t.Errorf("another key took the place: %v", err)
	}
}

// TestStolenLastingKeyShows when the thief has replaced it.
func TestStolenLastingKeyShows(t *testing.T) {
	a := newAuthority(t)
	file := a.lastingKey(t)
	id, err := a.enrollByKey(t, t.TempDir(), file)
	check(t, err)
	a.lastingKey(t) // another one takes its place
	a.aged(time.Minute)
	if err := id.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "not registered any more") {
		t.Errorf("got %v", err)
	}
}
