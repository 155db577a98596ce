package agents_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

const td agents.TrustDomain = "example.internal"

// now has a fraction of a second, as real clocks have.
var now = time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)

func openDB(t testing.TB) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var errUndo = errors.New("undone")

// try runs fn in a transaction of db that leaves nothing behind.
func try(t testing.TB, db storage.DB, fn func(tx storage.Tx)) {
	t.Helper()
	err := db.Update(context.Background(), func(tx storage.Tx) error {
		fn(tx)
		return errUndo
	})
	if !errors.Is(err, errUndo) {
		t.Fatal(err)
	}
}

// within runs fn in a transaction of a fresh store.
func within(t testing.TB, fn func(tx storage.Tx)) {
	t.Helper()
	try(t, openDB(t), fn)
}

func invitation(t testing.TB, at time.Time) agents.Enrollment {
	t.Helper()
	e, err := agents.NewEnrollment(at)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// add registers an agent, of "team" unless c says otherwise.
func add(t testing.TB, tx storage.Tx, name agents.Name, c agents.Change) agents.Agent {
	t.Helper()
	if c.Owner == nil {
		c.Owner = new("team")
	}
	a, err := agents.Add(tx, td, name, c, invitation(t, now), now, cleared(t, c.Keys...))
	if err != nil {
		t.Fatalf("adding %s: %v", name, err)
	}
	return a
}

func get(t testing.TB, tx storage.Tx, name agents.Name) agents.Agent {
	t.Helper()
	a, err := agents.Get(tx, name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// credential makes one as the ca and tokens packages do.
func credential(t testing.TB, name agents.Name, issuer string, issued, expires time.Time) agents.Credential {
	t.Helper()
	id, err := agents.NewCredentialID(expires)
	if err != nil {
		t.Fatal(err)
	}
	return agents.Credential{ID: id, Agent: name, Issuer: issuer, IssuedAt: issued}
}

// refused checks that err is one of the sentinel's and that it repeats no more
// of an overlong input than a person can read.
func refused(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%.80q: got %v, want %v", what, err, want)
		return
	}
	if text := err.Error(); len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		t.Errorf("%.80q: the error has %d octets, or control characters: %.500q", what, len(text), text)
	}
}
