package disk_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// A fullStore runs what it is asked to write, and keeps nothing of it.
type fullStore struct {
	storage.DB
	urgent int
}

func (s *fullStore) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if storage.UrgencyOf(ctx) != storage.NotUrgent {
		s.urgent++
	}
	_ = s.View(ctx, fn)
	return storage.ErrFull
}

// TestRefusalThatNeverWas: two enroll with one token in a group whose commit
// fails. The second was refused because of the first, whose enrollment is
// undone: it must not be told that the token is used up.
func TestRefusalThatNeverWas(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := &fullStore{DB: db}
	p := policy.Point{DB: s}
	q := policy.Query{Principal: policy.UID(0), Action: audit.AgentSet, Subject: "bot", Time: time.Now()}
	err = p.Do(storage.Urgent(t.Context()), q, policy.Act{Change: func(storage.Tx, *policy.Decision) (policy.Done, error) {
		return policy.Done{}, agents.ErrEnrollment
	}})
	if !errors.Is(err, storage.ErrFull) || policy.IsDenial(err) || !policy.IsUnavailable(err) {
		t.Errorf("Do: %v, want that the disk is full", err)
	}
	if s.urgent != 1 {
		t.Errorf("%d urgent writes, want the one that was asked for", s.urgent)
	}
	err = p.Refuse(storage.Urgent(t.Context()), q, agents.ErrEnrollment)
	if !policy.IsDenial(err) || policy.IsUnavailable(err) || policy.Told(err) != agents.ErrEnrollment.Error() || err.Error() == policy.Told(err) {
		t.Errorf("Refuse: %v, and to outsiders: %s", err, policy.Told(err))
	}
	if s.urgent != 1 {
		t.Error("recording a refusal is urgent, which lets strangers use the reserve up")
	}
}
