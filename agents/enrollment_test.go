package agents_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

var enrollmentForm = regexp.MustCompile(`^brevet_enroll_[A-Za-z0-9_-]{48}$`)

func TestEnrollmentToken(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		e := invitation(t, now)
		text := e.Token.Reveal()
		if !enrollmentForm.MatchString(text) {
			t.Fatalf("%q does not look like an enrollment token", text)
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, agents.EnrollmentPrefix))
		if err != nil || len(raw[4:]) != 32 || seen[string(raw[4:])] {
			t.Fatalf("%q has not 256 fresh random bits: %v", text, err)
		}
		seen[string(raw[4:])] = true
		if want := now.Add(time.Hour).Truncate(time.Second); !e.Expires.Equal(want) {
			t.Fatalf("expires at %s, want %s", e.Expires, want)
		}
		if again, err := agents.ParseEnrollment(text); err != nil || !again.Expires.Equal(e.Expires) || again.Token.Reveal() != text {
			t.Fatalf("%q printed and parsed: %v", text, err)
		}
	}
}

var someEnrollment = agents.EnrollmentPrefix + strings.Repeat("A", 48)

var notEnrollments = []string{
	"", agents.EnrollmentPrefix, someEnrollment[1:], strings.ToUpper(agents.EnrollmentPrefix) + strings.Repeat("A", 48), strings.TrimPrefix(someEnrollment, agents.EnrollmentPrefix),
	someEnrollment + "A", someEnrollment + "=", someEnrollment + "\n", " " + someEnrollment, someEnrollment[:len(someEnrollment)-1], someEnrollment[:len(someEnrollment)-1] + "=",
	someEnrollment[:len(someEnrollment)-1] + "+", someEnrollment[:len(someEnrollment)-1] + "/", someEnrollment[:len(someEnrollment)-1] + "\x00", someEnrollment[:len(someEnrollment)-2] + "é",
	agents.EnrollmentPrefix + "g" + strings.Repeat("A", 47), agents.EnrollmentPrefix + "_" + strings.Repeat("_", 47),
	// Decoders of base64 skip line breaks.
	agents.EnrollmentPrefix + strings.Repeat("\n", 48), agents.EnrollmentPrefix + strings.Repeat("A", 44) + "\r\n\r\n", agents.EnrollmentPrefix + "\n\n\n\n" + strings.Repeat("A", 44),
	strings.Repeat("A", 1<<16), someEnrollment + strings.Repeat("A", 1<<16),
}

// TestParseEnrollment: what is refused gets always the same words, which hold
// nothing of it.
func TestParseEnrollment(t *testing.T) {
	for _, s := range notEnrollments {
		if e, err := agents.ParseEnrollment(s); err != agents.ErrEnrollment {
			t.Errorf("%.80q: got %v, %v", s, e, err)
		}
	}
}

func FuzzParseEnrollment(f *testing.F) {
	for _, s := range append(notEnrollments, someEnrollment) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := agents.ParseEnrollment(s)
		if err != nil {
			if err != agents.ErrEnrollment {
				t.Errorf("%q: got %v", s, err)
			}
			return
		}
		if e.Token.Reveal() != s || !enrollmentForm.MatchString(s) {
			t.Errorf("%q was read as %q", s, e.Token.Reveal())
		}
		if again, err := agents.ParseEnrollment(e.Token.Reveal()); err != nil || !again.Expires.Equal(e.Expires) {
			t.Errorf("%q expires at %s, read again at %s, %v", s, e.Expires, again.Expires, err)
		}
	})
}

// TestEnrollmentTokenIsForOneUse goes through the life of a token.
func TestEnrollmentTokenIsForOneUse(t *testing.T) {
	within(t, func(tx storage.Tx) {
		e := invitation(t, now)
		if a, err := agents.Enrollable(tx, e, now); err != agents.ErrEnrollment || a.Name != "" {
			t.Fatalf("before it was given out: %q, %v", a.Name, err)
		}
		if _, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team")}, e, now); err != nil {
			t.Fatal(err)
		}
		last := e.Expires.Add(-1)
		for range 2 { // looking does not use it up
			if a, err := agents.Enrollable(tx, e, last); err != nil || a.Name != "bot" {
				t.Fatalf("before: got %s, %v", a.Name, err)
			}
		}
		if err := agents.Redeem(tx, e, last); err != nil {
			t.Fatal(err)
		}
		notEnrollable(t, tx, "used", e, last)

		replaced, fresh := invitation(t, now), invitation(t, now)
		for _, e := range []agents.Enrollment{replaced, fresh} {
			if _, err := agents.Reenroll(tx, "bot", e, now); err != nil {
				t.Fatal(err)
			}
		}
		notEnrollable(t, tx, "replaced", replaced, now)
		notEnrollable(t, tx, "expired", fresh, fresh.Expires)
		if _, err := agents.Suspend(tx, "bot", agents.Unspecified, now); err != nil {
			t.Fatal(err)
		}
		notEnrollable(t, tx, "suspended", fresh, now)
		if _, err := agents.Resume(tx, "bot", now); err != nil {
			t.Fatal(err)
		}
		notEnrollable(t, tx, "suspended and resumed", fresh, now)
	})
}

// notEnrollable checks that a token is refused, but is still known to be the
// agent's, so that its use is recorded.
func notEnrollable(t *testing.T, tx storage.Tx, what string, e agents.Enrollment, at time.Time) {
	t.Helper()
	if _, err := agents.Enrollable(tx, e, at); !errors.Is(err, agents.ErrEnrollment) {
		t.Errorf("%s: got %v", what, err)
	}
	before := get(t, tx, "bot")
	if err := agents.Redeem(tx, e, at); !errors.Is(err, agents.ErrEnrollment) {
		t.Errorf("%s, redeemed: got %v", what, err)
	}
	if after := get(t, tx, "bot"); !bytes.Equal(before.Pending, after.Pending) {
		t.Errorf("%s: the attempt used up the token that is good", what)
	}
	if a, _ := agents.Enrollable(tx, e, at); a.Name != "bot" {
		t.Errorf("%s: it is said to be %q's", what, a.Name)
	}
}

func TestEnrollmentOfAnExpiredAgent(t *testing.T) {
	within(t, func(tx storage.Tx) {
		e := invitation(t, now)
		if _, err := agents.Add(tx, td, "bot", agents.Change{Owner: new("team"), Expires: new(now.Add(time.Minute))}, e, now); err != nil {
			t.Fatal(err)
		}
		if err := agents.Redeem(tx, e, now.Add(time.Minute)); !errors.Is(err, agents.ErrNotActive) {
			t.Errorf("got %v", err)
		}
	})
}

// TestStoreDoesNotHoldEnrollmentTokens looks for one in every byte of the store.
func TestStoreDoesNotHoldEnrollmentTokens(t *testing.T) {
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
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(e.Token.Reveal(), agents.EnrollmentPrefix))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{raw[4:], []byte(base64.StdEncoding.EncodeToString(raw)), []byte(base64.RawURLEncoding.EncodeToString(raw[4:]))[:40], []byte(e.Token.Reveal())[20:]} {
		if bytes.Contains(file.Bytes(), secret) {
			t.Errorf("the store holds %q", secret)
		}
	}
	if !bytes.Contains(file.Bytes(), []byte(`"bot"`)) {
		t.Error("the store does not hold the agent: nothing was looked for")
	}
}
