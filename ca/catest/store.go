// Package catest makes an authority without a server, for tests of what
// stands on package ca: agents, keys, a root, an issuer, and a [ca.CA] that
// issues. Tests of whole authorities use server/servertest.
package catest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/storage/keys/file"
)

// TrustDomain is that of every authority made here.
const TrustDomain agents.TrustDomain = "example.internal"

// Start is where the clocks of most tests begin, within a second.
var Start = time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)

// purposes are what tests have keys for. The owners of the last ones stand above this
// package.
var purposes = append(ca.Purposes(), keys.Purposes{{Purpose: keys.Tokens}, {Purpose: keys.TokensPQ}, {Purpose: keys.Audit}}...)

// Unchecked returns a Clearance for keys that were compared with nothing, where no certificates
// are on record.
func Unchecked(keys ...components.Key) components.Clearance {
	return components.NewClearance(func(storage.Tx) error { return nil }, keys...)
}

// A Store holds what an authority keeps. Its methods end the test when they fail.
type Store struct {
	DB   storage.DB
	Keys keys.Source
	Now  func() time.Time
	T    testing.TB // a fuzz target is a test of its own

	dir string // of the key files
}

// NewStore makes an empty one, which ends with the test.
func NewStore(t testing.TB, now func() time.Time) *Store {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &Store{DB: strict(t, db), Keys: file.NewStore(dir, file.NoPassphrase), Now: now, T: t, dir: dir}
}

// Clock returns a clock that believes what the test says of the time.
func (s *Store) Clock() *clock.Clock { return clock.Believing(s.Now) }

// Update changes the store.
func (s *Store) Update(fn func(storage.Tx) error) {
	s.T.Helper()
	s.check(s.DB.Update(context.Background(), fn))
}

// View looks at the store.
func (s *Store) View(fn func(storage.Tx) error) {
	s.T.Helper()
	s.check(s.DB.View(context.Background(), fn))
}

func (s *Store) check(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// Generate makes a key that is not yet on record, and its signer.
func (s *Store) Generate(p keys.Purpose, a keys.Algorithm) (keys.Key, ca.Signer) {
	s.T.Helper()
	k, private, err := s.Keys.Generate(p, a, s.Now())
	s.check(err)
	signer, err := ca.NewSigner(private)
	s.check(err)
	return k, signer
}

// Key makes a key that is active, or none if there is no algorithm.
func (s *Store) Key(p keys.Purpose, a keys.Algorithm) keys.Key {
	s.T.Helper()
	if a == "" {
		return keys.Key{}
	}
	k, _, err := s.Keys.Generate(p, a, s.Now())
	s.check(err)
	s.Update(func(tx storage.Tx) error {
		_, err := purposes.Record(tx, k, keys.StateActive, s.Now())
		return err
	})
	return k
}

// Add registers an agent and returns its enrollment. Owner "team" is filled in.
func (s *Store) Add(name agents.Name, c agents.Change) agents.Enrollment {
	s.T.Helper()
	if c.Owner == nil {
		c.Owner = new("team")
	}
	e, err := agents.NewEnrollment(s.Now())
	s.check(err)
	s.Update(func(tx storage.Tx) error {
		keys, err := c.KeyComponents()
		s.check(err)
		_, err = agents.Add(tx, TrustDomain, name, c, e, s.Now(), Unchecked(keys...))
		return err
	})
	return e
}

// Away takes the files of a purpose's keys out of the directory, until back is called.
func (s *Store) Away(p keys.Purpose) (back func()) {
	s.T.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, string(p)+"-*.key"))
	s.check(err)
	if len(files) == 0 {
		s.T.Fatalf("there is no %s key", p)
	}
	elsewhere := s.T.TempDir()
	move := func(path, to string) { s.check(os.Rename(path, filepath.Join(to, filepath.Base(path)))) }
	for _, path := range files {
		move(path, elsewhere)
	}
	return func() {
		for _, path := range files {
			move(filepath.Join(elsewhere, filepath.Base(path)), s.dir)
		}
	}
}

// Suspend suspends an agent whose key is compromised.
func (s *Store) Suspend(name agents.Name) {
	s.T.Helper()
	s.Update(func(tx storage.Tx) error {
		_, err := agents.Suspend(tx, name, agents.KeyCompromise, s.Now())
		return err
	})
}

// Events returns the entries of the audit log.
func (s *Store) Events() (all []audit.Event) {
	s.T.Helper()
	s.View(func(tx storage.Tx) (err error) {
		all, err = collect(audit.Since(tx, 0))
		return err
	})
	return all
}

// Certificates returns the certificates on record.
func (s *Store) Certificates() (all []ca.Certificate) {
	s.T.Helper()
	s.View(func(tx storage.Tx) (err error) {
		all, err = collect(ca.Since(tx, time.Time{}))
		return err
	})
	return all
}

func collect[T any](seq func(func(T, error) bool)) (all []T, err error) {
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}
