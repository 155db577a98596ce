package agents

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// TestLastUse: a use shows at once, costs no commit, is stored at most every few minutes, and
// never goes back, although two nodes store what they saw.
func TestLastUse(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	node, other := NewLastUse(clock), NewLastUse(clock)
	want := func(l *LastUse, n Name, want time.Time) {
		t.Helper()
		db.View(t.Context(), func(tx storage.Tx) error {
			if got, err := l.Last(tx, n); err != nil || !got.Equal(want) {
				t.Errorf("%s was seen at %s, %v; want %s", n, got, err, want)
			}
			return nil
		})
	}
	store := func(l *LastUse, all bool, commits uint64) {
		t.Helper()
		before := db.Stats().Transactions
		if err := l.Store(t.Context(), db, all); err != nil {
			t.Fatal(err)
		}
		if got := db.Stats().Transactions - before; got != commits {
			t.Errorf("storing took %d transactions, want %d", got, commits)
		}
	}
	want(node, "bot", time.Time{})
	first := now
	node.Note("bot", now)
	want(node, "bot", first)
	want(other, "bot", time.Time{})
	store(node, false, 1)
	want(other, "bot", first)
	now = now.Add(time.Minute)
	node.Note("bot", now)
	store(node, false, 0) // the store has it nearly
	want(node, "bot", now)
	want(other, "bot", first)
	store(node, true, 1) // the node stops
	want(other, "bot", now)

	late := now
	now = now.Add(-30 * time.Second) // the clock of the other node
	other.Note("bot", now)
	store(other, true, 0)
	want(other, "bot", late)
	now = late.Add(2 * useMemory)
	store(node, false, 0)
	if _, ok := node.noted.Load(Name("bot")); ok {
		t.Error("an agent that is stored and not seen stays in memory")
	}
	for i := range 3 * useBatch {
		node.Note(Name(fmt.Sprintf("bot%d", i)), now)
	}
	store(node, false, 3)
}

// TestUsesAreOnRecordSince the store first came to this version, or its last restore.
func TestUsesAreOnRecordSince(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		do   func(storage.Tx) error
		want time.Time
	}{
		{func(storage.Tx) error { return nil }, time.Time{}},
		{func(tx storage.Tx) error { return RecordUses(tx, now) }, now},
		{func(tx storage.Tx) error { return RecordUses(tx, now.Add(time.Hour)) }, now},
		{func(tx storage.Tx) error { return NoteRestore(tx, Restore{At: now.Add(2 * time.Hour)}) }, now.Add(2 * time.Hour)},
	} {
		err := db.Update(t.Context(), func(tx storage.Tx) error {
			if err := c.do(tx); err != nil {
				return err
			}
			got, err := Recorded(tx)
			if !got.Equal(c.want) {
				t.Errorf("uses are on record since %s, want %s", got, c.want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
