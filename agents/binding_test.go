package agents_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

var (
	keyIDForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{27}$`)
	macKeyForm = regexp.MustCompile(`^brevet_eab_1[A-Za-z0-9_-]{52}$`) // the mark and 312 bits, without padding
)

func TestBindingKey(t *testing.T) {
	seen := map[string]bool{}
	for range 500 { // one key in 64 would look like a flag
		b := invitation(t, now).Binding
		mac := b.MACKey.Reveal()
		if !keyIDForm.MatchString(b.KeyID) || !macKeyForm.MatchString(mac) || seen[b.KeyID[6:]] || seen[mac] {
			t.Fatalf("got %q and %q", b.KeyID, mac)
		}
		seen[b.KeyID[6:]], seen[mac] = true, true
	}
}

// TestParsedEnrollmentHasNoBinding: a token says nothing of the key that was
// made with it, and nobody can be invited by it.
func TestParsedEnrollmentHasNoBinding(t *testing.T) {
	e, err := agents.ParseEnrollment(invitation(t, now).Token.Reveal())
	if err != nil || e.Binding.KeyID != "" || e.Binding.MACKey.Reveal() != "" {
		t.Fatalf("got %+v, %v", e, err)
	}
	within(t, func(tx storage.Tx) {
		_, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team")}, e, now)
		refused(t, "add", err, agents.ErrBinding)
	})
}

// bindable checks that the key may be used at an instant, and that looking
// does not use it up.
func bindable(t *testing.T, tx storage.Tx, b agents.Binding, at time.Time) {
	t.Helper()
	want, err := base64.RawURLEncoding.Strict().DecodeString(b.MACKey.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a, mac, err := agents.Bindable(tx, b.KeyID, at)
		if err != nil || a.Name != "bot" || len(mac) != 48 || !hmac.Equal(mac, want) {
			t.Fatalf("got %s, %x, %v", a.Name, mac, err)
		}
	}
}

// notBindable checks that the key opens nothing, and that whose it was is
// still known.
func notBindable(t *testing.T, tx storage.Tx, what, kid string, at time.Time) {
	t.Helper()
	a, mac, err := agents.Bindable(tx, kid, at)
	refused(t, what, err, agents.ErrBinding)
	if len(mac) != 48 || a.Name != "bot" {
		t.Errorf("%s: known as that of %q, with a MAC key of %d octets", what, a.Name, len(mac))
	}
	err = agents.Bind(tx, kid, at)
	refused(t, what+", bound", err, agents.ErrBinding)
}

// TestBindingIsForOneUse goes through the life of a key.
func TestBindingIsForOneUse(t *testing.T) {
	within(t, func(tx storage.Tx) {
		e := invitation(t, now)
		if a, mac, err := agents.Bindable(tx, e.Binding.KeyID, now); err != agents.ErrBinding || a.Name != "" || len(mac) != 48 {
			t.Fatalf("before it was given out: %q, a MAC key of %d octets, %v", a.Name, len(mac), err)
		}
		if _, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team")}, e, now); err != nil {
			t.Fatal(err)
		}
		last := e.Expires.Add(-1)
		bindable(t, tx, e.Binding, last)
		if err := agents.Bind(tx, e.Binding.KeyID, last); err != nil {
			t.Fatal(err)
		}
		notBindable(t, tx, "used", e.Binding.KeyID, last)

		replaced, fresh := invitation(t, now), invitation(t, now)
		for _, e := range []agents.Enrollment{replaced, fresh} {
			if _, err := agents.Reenroll(tx, "bot", e, now); err != nil {
				t.Fatal(err)
			}
		}
		notBindable(t, tx, "used, after another was made", e.Binding.KeyID, now)
		notBindable(t, tx, "replaced", replaced.Binding.KeyID, now)
		bindable(t, tx, fresh.Binding, last)
		notBindable(t, tx, "expired", fresh.Binding.KeyID, fresh.Expires)
		notBindable(t, tx, "made by a clock that was ahead", fresh.Binding.KeyID, now.Add(-agents.ClockTolerance-time.Second))
	})
}

// TestRacingBinds: of many at once, one wins.
func TestRacingBinds(t *testing.T) {
	db := openDB(t)
	e := invitation(t, now)
	err := db.Update(context.Background(), func(tx storage.Tx) error {
		_, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team")}, e, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	for range 16 {
		go func() {
			results <- db.Update(context.Background(), func(tx storage.Tx) error {
				return agents.Bind(tx, e.Binding.KeyID, now)
			})
		}()
	}
	won := 0
	for range 16 {
		if err := <-results; err == nil {
			won++
		} else {
			refused(t, "bind", err, agents.ErrBinding)
		}
	}
	if won != 1 {
		t.Errorf("%d of 16 won", won)
	}
}

// TestTokenAndBindingAreUsedApart: an agent may enroll and open an account.
func TestTokenAndBindingAreUsedApart(t *testing.T) {
	for _, first := range []string{"token", "binding"} {
		within(t, func(tx storage.Tx) {
			e := invitation(t, now)
			if _, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team")}, e, now); err != nil {
				t.Fatal(err)
			}
			use := map[string]func() error{
				"token":   func() error { return agents.Redeem(tx, e, now) },
				"binding": func() error { return agents.Bind(tx, e.Binding.KeyID, now) },
			}
			if err := use[first](); err != nil {
				t.Fatal(err)
			}
			delete(use, first)
			for second, do := range use {
				if err := do(); err != nil {
					t.Errorf("%s after %s: %v", second, first, err)
				}
			}
			refused(t, "the token again", agents.Redeem(tx, e, now), agents.ErrEnrollment)
			notBindable(t, tx, "the binding again", e.Binding.KeyID, now)
		})
	}
}

// TestBindingEndsWithTheAgent, and does not come back with it.
func TestBindingEndsWithTheAgent(t *testing.T) {
	for end, do := range map[string]func(tx storage.Tx) error{
		"suspended": func(tx storage.Tx) error {
			_, err := agents.Suspend(tx, "bot", agents.KeyCompromise, now)
			return err
		},
		"suspended and resumed": func(tx storage.Tx) error {
			_, err1 := agents.Suspend(tx, "bot", agents.KeyCompromise, now)
			_, err2 := agents.Resume(tx, "bot", now)
			return errors.Join(err1, err2)
		},
		"decommissioned": func(tx storage.Tx) error {
			_, err := agents.Decommission(tx, td, "bot", agents.KeyCompromise, now)
			return err
		},
	} {
		within(t, func(tx storage.Tx) {
			e := invitation(t, now)
			if _, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team")}, e, now); err != nil {
				t.Fatal(err)
			}
			if err := do(tx); err != nil {
				t.Fatal(err)
			}
			notBindable(t, tx, end, e.Binding.KeyID, now)
		})
	}
	within(t, func(tx storage.Tx) {
		e := invitation(t, now)
		if _, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team"), Expires: new(now.Add(time.Minute))}, e, now); err != nil {
			t.Fatal(err)
		}
		notBindable(t, tx, "past the agent's expiry", e.Binding.KeyID, now.Add(time.Minute))
	})
}

var notKeyIDs = []string{
	"", "A", strings.Repeat("A", 26), strings.Repeat("A", 28), strings.Repeat("A", 27) + "=", strings.Repeat("A", 26) + "B", strings.Repeat("A", 26) + "=",
	" " + strings.Repeat("A", 26), strings.Repeat("A", 26) + "\n", strings.Repeat("\n", 27), strings.Repeat("A", 23) + "\r\n\r\n", strings.Repeat("A", 26) + "+",
	strings.Repeat("A", 26) + "/", strings.Repeat("A", 25) + "é", "g" + strings.Repeat("A", 26), strings.Repeat("_", 26) + "8", strings.Repeat("A", 1<<16),
}

// TestUnknownKeyID: what is refused gets always the same words.
func TestUnknownKeyID(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		for _, kid := range append(notKeyIDs, strings.Repeat("A", 27)) {
			if a, _, err := agents.Bindable(tx, kid, now); err != agents.ErrBinding || a.Name != "" {
				t.Errorf("%.40q: got %q, %v", kid, a.Name, err)
			}
			if err := agents.Bind(tx, kid, now); err != agents.ErrBinding {
				t.Errorf("%.40q, bound: got %v", kid, err)
			}
		}
	})
}

// TestStoreDoesNotHoldBindings looks for one in every byte of the store, which
// makes none of its keys known.
func TestStoreDoesNotHoldBindings(t *testing.T) {
	db := openDB(t)
	e := invitation(t, now)
	err := db.Update(context.Background(), func(tx storage.Tx) error {
		_, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team")}, e, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := db.Backup(context.Background(), &file); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"key identifier": e.Binding.KeyID, "MAC key": e.Binding.MACKey.Reveal()} {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		raw = raw[4:] // an identifier's expiry is no secret
		for _, form := range []string{
			string(raw), hex.EncodeToString(raw), text[8:], base64.StdEncoding.EncodeToString(raw)[:len(raw)], base64.RawURLEncoding.EncodeToString(raw)[:len(raw)],
		} {
			if bytes.Contains(file.Bytes(), []byte(form)) {
				t.Errorf("the store holds the %s as %q", what, form)
			}
		}
	}
	if !bytes.Contains(file.Bytes(), []byte(`"salt":`)) {
		t.Error("the store does not hold the binding's record: nothing was looked for")
	}
}
