package storagetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A note is stored as JSON.
type note struct {
	Text string
	At   time.Time
}

// A word is stored in its own form.
type word string

func (w word) MarshalBinary() ([]byte, error) {
	if w == "bad" {
		return nil, errFail
	}
	return []byte("word:" + w), nil
}

func (w *word) UnmarshalBinary(b []byte) error {
	s, ok := strings.CutPrefix(string(b), "word:")
	if !ok {
		return errFail
	}
	*w = word(s)
	return nil
}

func (s suite) table(t *testing.T) {
	db := s.openNew(t)
	notes := storage.Table[note]("notes")
	n := note{"hello", time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	update(t, db, func(tx storage.Tx) error {
		if has, err := notes.Has(tx, "a"); has || err != nil {
			t.Errorf("Has before: %v, %v", has, err)
		}
		if _, err := notes.Get(tx, "a"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get before: %v, want ErrNotFound", err)
		}
		if err := notes.Create(tx, "a", n); err != nil {
			t.Errorf("Create: %v", err)
		}
		if err := notes.Create(tx, "a", note{}); !errors.Is(err, storage.ErrExists) {
			t.Errorf("Create again: %v, want ErrExists", err)
		}
		return errors.Join(notes.Put(tx, "b", note{Text: "b"}), notes.Put(tx, "b", note{Text: "b2"}), tx.Put("notes", "broken", []byte("{")))
	})
	view(t, db, func(tx storage.Tx) error {
		if got, err := notes.Get(tx, "a"); err != nil || got != n {
			t.Errorf("Get: %v, %v, want %v", got, err, n)
		}
		if has, err := notes.Has(tx, "a"); !has || err != nil {
			t.Errorf("Has: %v, %v", has, err)
		}
		if _, err := notes.Get(tx, "broken"); err == nil || errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get of what cannot be decoded: %v", err)
		}
		var got []string
		var last error
		for n, err := range notes.Scan(tx, "") {
			got, last = append(got, n.Text), err
		}
		if want := []string{"hello", "b2", ""}; !slices.Equal(got, want) || last == nil {
			t.Errorf("Scan: %q and error %v, want %q and an error", got, last, want)
		}
		return nil
	})
	update(t, db, func(tx storage.Tx) error { return errors.Join(notes.Delete(tx, "a"), notes.Delete(tx, "broken")) })
	wantTable(t, db, "notes", `b={"Text":"b2","At":"0001-01-01T00:00:00Z"}`)
}

func (s suite) tableBinary(t *testing.T) {
	db := s.openNew(t)
	words := storage.Table[word]("words")
	update(t, db, func(tx storage.Tx) error {
		if err := words.Put(tx, "bad", "bad"); !errors.Is(err, errFail) {
			t.Errorf("Put of what cannot be encoded: %v", err)
		}
		return errors.Join(words.Put(tx, "a", "one"), words.Put(tx, "b", ""), tx.Put("words", "c", []byte("x")))
	})
	wantTable(t, db, "words", "a=word:one", "b=word:", "c=x")
	view(t, db, func(tx storage.Tx) error {
		if got, err := words.Get(tx, "a"); err != nil || got != "one" {
			t.Errorf("Get: %q, %v", got, err)
		}
		if _, err := words.Get(tx, "c"); !errors.Is(err, errFail) {
			t.Errorf("Get of what cannot be decoded: %v", err)
		}
		return nil
	})
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func (s suite) partitioned(t *testing.T) {
	db := s.openNew(t)
	words := storage.Partitioned[word]("words")
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	update(t, db, func(tx storage.Tx) error {
		if err := words.Create(tx, at(5), "b", "noon b"); err != nil {
			t.Errorf("Create: %v", err)
		}
		if err := words.Create(tx, at(59), "b", "again"); !errors.Is(err, storage.ErrExists) {
			t.Errorf("Create in the same hour: %v, want ErrExists", err)
		}
		return errors.Join(
			words.Put(tx, at(10).In(time.FixedZone("", 5400)), "a", "noon a"), // of the same hour in UTC
			words.Put(tx, at(60), "a", "one"), words.Put(tx, at(-1), "z", "eleven"),
			words.Put(tx, at(24*60), "a", "tomorrow"),
			storage.Partitioned[word]("words2").Put(tx, at(0), "a", "other"))
	})
	view(t, db, func(tx storage.Tx) error {
		if got, err := words.Get(tx, at(42), "b"); err != nil || got != "noon b" {
			t.Errorf("Get in the hour: %q, %v", got, err)
		}
		if _, err := words.Get(tx, at(60), "b"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get in another hour: %v, want ErrNotFound", err)
		}
		for from, want := range map[int][]word{
			-120: {"eleven", "noon a", "noon b", "one", "tomorrow"},
			59:   {"noon a", "noon b", "one", "tomorrow"},
			60:   {"one", "tomorrow"},
			3000: nil,
		} {
			var got []word
			for w, err := range words.Since(tx, at(from)) {
				if err != nil {
					return err
				}
				got = append(got, w)
			}
			if !slices.Equal(got, want) {
				t.Errorf("since %v: %q, want %q", at(from), got, want)
			}
		}
		for w := range words.Since(tx, at(0)) {
			if w != "noon a" {
				t.Errorf("first since noon: %q", w)
			}
			break
		}
		return nil
	})
}

func (s suite) partitions(t *testing.T) {
	db := s.openNew(t)
	words, notes := storage.Partitioned[word]("words"), storage.Partitioned[note]("notes")
	update(t, db, func(tx storage.Tx) error {
		return errors.Join(
			words.Put(tx, noon, "a", "noon"), words.Put(tx, noon.Add(time.Hour), "a", "one"),
			notes.Put(tx, noon.Add(-time.Hour), "a", note{}))
	})
	ended := func(tx storage.Tx, at time.Time) []string {
		t.Helper()
		names, err := storage.Ended(tx, at)
		if err != nil {
			t.Error(err)
		}
		return names
	}
	update(t, db, func(tx storage.Tx) error {
		if got := ended(tx, noon.Add(-time.Second)); got != nil {
			t.Errorf("ended before noon: %q", got)
		}
		if got := ended(tx, noon.Add(59*time.Minute)); len(got) != 1 {
			t.Errorf("ended before one: %q, want that of eleven", got)
		}
		names := ended(tx, noon.Add(time.Hour))
		if len(names) != 2 {
			t.Errorf("ended at one: %q, want those of eleven and noon", names)
		}
		for _, name := range names {
			if err := storage.DropPartition(tx, name); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, db, func(tx storage.Tx) error {
		if got := ended(tx, noon.Add(time.Hour)); got != nil {
			t.Errorf("ended after the drop: %q", got)
		}
		var got []word
		for w, err := range words.Since(tx, noon.Add(-24*time.Hour)) {
			if err != nil {
				return err
			}
			got = append(got, w)
		}
		if !slices.Equal(got, []word{"one"}) {
			t.Errorf("left after the drop: %q", got)
		}
		if _, err := words.Get(tx, noon, "a"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get of what was dropped: %v, want ErrNotFound", err)
		}
		return nil
	})
}
