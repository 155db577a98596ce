package policies

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

var at = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func newStore(t *testing.T) storage.DB {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func update(t *testing.T, db storage.DB, f func(storage.Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

func file(name, text string) []File { return []File{{name, text}} }

// TestVersions: versions have numbers that are never given out again, and the texts stay.
func TestVersions(t *testing.T) {
	db := newStore(t)
	update(t, db, func(tx storage.Tx) error {
		if h, err := Current(tx); h != (Head{}) || err != nil {
			t.Errorf("an empty store: %+v, %v", h, err)
		}
		if _, err := Remove(tx); !errors.Is(err, ErrNone) {
			t.Errorf("removing nothing: %v", err)
		}
		for i, step := range []struct {
			text    string
			remove  bool
			number  int64
			changed bool
		}{
			{"a", false, 1, true}, {"a", false, 1, false}, {"b", false, 2, true}, {"a", false, 3, true},
			{"", true, 3, true}, {"a", false, 4, true},
		} {
			if step.remove {
				if v, err := Remove(tx); v.Number != step.number || err != nil {
					t.Errorf("step %d: removed %+v, %v", i, v, err)
				}
				continue
			}
			v, changed, err := Apply(tx, file("x.cedar", step.text), "me", at)
			if v.Number != step.number || changed != step.changed || err != nil {
				t.Errorf("step %d: %+v, %t, %v", i, v, changed, err)
			}
			if h, err := Current(tx); h != (Head{v.Number, v.Digest, max(v.Number, h.Last)}) || err != nil {
				t.Errorf("step %d: the head is %+v, %v", i, h, err)
			}
		}
		if v, err := Get(tx, 2); err != nil || !reflect.DeepEqual(v, Version{2, Digest(file("x.cedar", "b")), file("x.cedar", "b"), "me", at}) {
			t.Errorf("version 2 is %+v, %v", v, err)
		}
		all, err := All(tx)
		if len(all) != 4 || all[0].Number != 4 || all[3].Number != 1 || all[0].Files[0] != (File{Name: "x.cedar"}) || err != nil {
			t.Errorf("all are %+v, %v", all, err)
		}
		if _, err := Get(tx, 9); !errors.Is(err, ErrUnknown) {
			t.Errorf("version 9: %v", err)
		}
		return nil
	})
}

// TestVersionsHaveABound: the oldest version goes when there are many, and its number stays used.
func TestVersionsHaveABound(t *testing.T) {
	db := newStore(t)
	update(t, db, func(tx storage.Tx) error {
		for i := range MaxVersions + 3 {
			if _, _, err := Apply(tx, file("x.cedar", fmt.Sprint(i)), "me", at); err != nil {
				return err
			}
		}
		all, err := All(tx)
		if len(all) != MaxVersions || all[0].Number != MaxVersions+3 || all[len(all)-1].Number != 4 {
			t.Errorf("%d are left, from %d to %d", len(all), all[len(all)-1].Number, all[0].Number)
		}
		return err
	})
}

// TestLostPolicies: what Lose puts into force keeps its number, and Return or Find end that.
func TestLostPolicies(t *testing.T) {
	db := newStore(t)
	update(t, db, func(tx storage.Tx) error {
		v, _, err := Apply(tx, file("x.cedar", "a"), "me", at)
		if err != nil {
			return err
		}
		before, _ := Current(tx)
		if err := Lose(tx, 7, "abcd", "she", at); err != nil {
			return err
		}
		lost, err := Get(tx, 0)
		if lost.Number != 7 || lost.Actor != "she" || !strings.Contains(lost.Files[0].Text, "abcd") || err != nil {
			t.Errorf("in force is %+v, %v", lost, err)
		}
		found := Version{7, Digest(file("y.cedar", "b")), file("y.cedar", "b"), "she", at}
		if err := Find(tx, found); err != nil {
			return err
		}
		if got, err := Get(tx, 0); !reflect.DeepEqual(got, found) || err != nil {
			t.Errorf("in force is %+v, %v", got, err)
		}
		if err := Return(tx, before); err != nil {
			return err
		}
		if h, err := Current(tx); h != (Head{v.Number, v.Digest, 7}) || err != nil {
			t.Errorf("the head is %+v, %v", h, err)
		}
		next, _, err := Apply(tx, file("x.cedar", "c"), "me", at)
		if next.Number != 8 {
			t.Errorf("the next version is %d", next.Number)
		}
		return err
	})
}

// TestDigestIsThatOfSha256sum: printf a > a.cedar; printf b > b.cedar; sha256sum *.cedar | sha256sum
func TestDigestIsThatOfSha256sum(t *testing.T) {
	const want = "9ca8227cd9ae43a61a70f3da6071c08b90c17211e2afc33cbb65bd3af725947e"
	if got := Digest([]File{{"a.cedar", "a"}, {"b.cedar", "b"}}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheckFiles(t *testing.T) {
	many := func(n int) (all []File) {
		for i := range n {
			all = append(all, File{fmt.Sprintf("%d.cedar", i), "x"})
		}
		return all
	}
	for what, c := range map[string]struct {
		files []File
		ok    bool
	}{
		"one":         {file("a.cedar", ""), true},
		"none":        {nil, false},
		"most files":  {many(MaxFiles), true},
		"more files":  {many(MaxFiles + 1), false},
		"most text":   {file("a.cedar", strings.Repeat("x", MaxText)), true},
		"more text":   {file("a.cedar", strings.Repeat("x", MaxText+1)), false},
		"twice":       {append(many(1), many(1)...), false},
		"a path":      {file("../a.cedar", ""), false},
		"hidden":      {file(".a.cedar", ""), false},
		"no name":     {file("", ""), false},
		"a long name": {file(strings.Repeat("x", maxName+1), ""), false},
		"no text":     {file("a.cedar", "\xff"), false},
	} {
		if err := Check(c.files); (err == nil) != c.ok || err != nil && !errors.Is(err, agents.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
