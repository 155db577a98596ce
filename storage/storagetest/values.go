package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

func (s suite) values(t *testing.T) {
	place := s.place(t)
	db := open(t, place)
	update(t, db, func(tx storage.Tx) error {
		if _, err := tx.Get("t", "a"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get from a table that is not there: %v, want ErrNotFound", err)
		}
		if err := tx.Delete("t", "a"); err != nil {
			t.Errorf("Delete from a table that is not there: %v", err)
		}
		if err := tx.Put("t", "a", []byte("one")); err != nil {
			return err
		}
		return errors.Join(
			tx.Put("t", "none", nil), tx.Put("t", "empty", []byte{}),
			tx.Put("t", "b", []byte("first")), tx.Put("t", "b", []byte("second")),
			tx.Put("t", "c", []byte("gone")), tx.Delete("t", "c"), tx.Delete("t", "never"),
			tx.Put("u", "a", []byte("other")))
	})
	check := func(db storage.DB) {
		t.Helper()
		wantTable(t, db, "t", "a=one", "b=second", "empty=", "none=")
		wantTable(t, db, "u", "a=other")
		wantTable(t, db, "v")
		view(t, db, func(tx storage.Tx) error {
			for _, key := range []string{"none", "empty"} {
				if v, err := tx.Get("t", key); err != nil || len(v) != 0 {
					t.Errorf("Get of an empty value: %q, %v", v, err)
				}
			}
			for _, key := range []string{"c", "", "aa", "A"} {
				if _, err := tx.Get("t", key); !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("Get of %q: %v, want ErrNotFound", key, err)
				}
			}
			return nil
		})
	}
	check(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, place))
}

func (s suite) names(t *testing.T) {
	db := s.openNew(t)
	update(t, db, func(tx storage.Tx) error {
		if tx.Put("", "k", nil) == nil {
			t.Error("Put to the table \"\" succeeded")
		}
		if tx.Put("t", "", nil) == nil {
			t.Error("Put of the key \"\" succeeded")
		}
		return nil
	})
	odd := []string{"\x00", "a/b", "ä€", "\xff\xff", strings.Repeat("k", 1000)}
	slices.Sort(odd)
	for _, table := range odd {
		update(t, db, func(tx storage.Tx) error {
			for _, key := range odd {
				if err := tx.Put(table, key, []byte(table+key)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, table := range odd {
		var want []string
		for _, key := range odd {
			want = append(want, key+"="+table+key)
		}
		wantTable(t, db, table, want...)
	}
}

func (s suite) scan(t *testing.T) {
	db := s.openNew(t)
	keys := []string{"", "a", "a\x00", "a/1", "a/10", "a/2", "a\xff", "a\xff\xff", "b", "\xff", "\xff\xff"}[1:]
	update(t, db, func(tx storage.Tx) error {
		for _, k := range slices.Backward(keys) {
			if err := tx.Put("t", k, []byte(k)); err != nil {
				return err
			}
		}
		return nil
	})
	check := func(tx storage.Tx) error {
		for _, prefix := range append([]string{"", "a/", "a/1", "a/3", "c", "\xff\xff\xff"}, keys...) {
			var want []string
			for _, k := range keys {
				if strings.HasPrefix(k, prefix) {
					want = append(want, k+"="+k)
				}
			}
			if got := pairs(tx, "t", prefix); !slices.Equal(got, want) {
				t.Errorf("scan of %q: %q, want %q", prefix, got, want)
			}
		}
		for k := range tx.Scan("t", "a/") {
			if k != "a/1" {
				t.Errorf("first of a/: %q", k)
			}
			break
		}
		return nil
	}
	view(t, db, check)
	update(t, db, check)
	update(t, db, func(tx storage.Tx) error { // a scan sees what this transaction did
		if err := errors.Join(tx.Delete("t", "a/10"), tx.Put("t", "a/15", nil)); err != nil {
			return err
		}
		if got, want := pairs(tx, "t", "a/1"), []string{"a/1=a/1", "a/15="}; !slices.Equal(got, want) {
			t.Errorf("scan after writes: %q, want %q", got, want)
		}
		return nil
	})
}

func (s suite) readOnly(t *testing.T) {
	db := s.openNew(t)
	put(t, db, "t", "k", "v")
	view(t, db, func(tx storage.Tx) error {
		for name, err := range map[string]error{
			"Put": tx.Put("t", "k", []byte("new")), "Put to a new table": tx.Put("u", "k", nil),
			"Delete": tx.Delete("t", "k"), "Drop": tx.Drop("t"),
		} {
			if err == nil {
				t.Errorf("%s in a View succeeded", name)
			}
		}
		return nil
	})
	if err := db.View(context.Background(), func(storage.Tx) error { return errFail }); err != errFail {
		t.Errorf("View of a closure that fails: %v", err)
	}
	wantTable(t, db, "t", "k=v")
	wantTable(t, db, "u")
}

// ended uses transactions after their end, which must not reach the store.
func (s suite) ended(t *testing.T) {
	db := s.openNew(t)
	put(t, db, "t", "k", "v")
	var old storage.Tx
	keep := func(tx storage.Tx) error { old = tx; return nil }
	for name, run := range map[string]func(context.Context, func(storage.Tx) error) error{"View": db.View, "Update": db.Update} {
		if err := run(context.Background(), keep); err != nil {
			t.Fatal(err)
		}
		update(t, db, func(storage.Tx) error { // another transaction is open
			if old.Put("t", "k", []byte("stray")) == nil || old.Delete("t", "k") == nil || old.Drop("t") == nil {
				t.Errorf("%s: a write after the end succeeded", name)
			}
			if _, err := old.Get("t", "k"); err == nil || errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s: Get after the end: %v", name, err)
			}
			if got := pairs(old, "t", ""); got != nil {
				t.Errorf("%s: Scan after the end: %q", name, got)
			}
			return nil
		})
	}
	wantTable(t, db, "t", "k=v")
}

func (s suite) large(t *testing.T) {
	place := s.place(t)
	db := open(t, place)
	big := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	const n = 20000
	update(t, db, func(tx storage.Tx) error {
		for i := range n {
			if err := tx.Put("many", fmt.Sprintf("%08d", i), fmt.Append(nil, i)); err != nil {
				return err
			}
		}
		return errors.Join(tx.Put("big", "a", big), tx.Put("big", "b", big[1:]))
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, place)
	view(t, db, func(tx storage.Tx) error {
		a, err := tx.Get("big", "a")
		b, err2 := tx.Get("big", "b")
		if err != nil || err2 != nil || !bytes.Equal(a, big) || !bytes.Equal(b, big[1:]) {
			t.Errorf("large values differ: %d and %d bytes, %v, %v", len(a), len(b), err, err2)
		}
		i := 0
		for k, v := range tx.Scan("many", "") {
			if k != fmt.Sprintf("%08d", i) || string(v) != fmt.Sprint(i) {
				return fmt.Errorf("pair %d is %q=%q", i, k, v)
			}
			i++
		}
		if i != n {
			t.Errorf("%d pairs, want %d", i, n)
		}
		return nil
	})
	update(t, db, func(tx storage.Tx) error { return errors.Join(tx.Drop("many"), tx.Drop("big")) })
	wantTable(t, db, "many")
	wantTable(t, db, "big")
}

func (s suite) drop(t *testing.T) {
	db := s.openNew(t)
	put(t, db, "t", "k", "v")
	put(t, db, "tt", "k", "other")
	drop := func(result error) func(storage.Tx) error {
		return func(tx storage.Tx) error {
			if err := errors.Join(tx.Put("t", "late", nil), tx.Drop("t"), tx.Drop("t"), tx.Drop("never")); err != nil {
				return err
			}
			if _, err := tx.Get("t", "k"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("Get after Drop: %v, want ErrNotFound", err)
			}
			if got := pairs(tx, "t", ""); got != nil {
				t.Errorf("Scan after Drop: %q", got)
			}
			for _, table := range []string{"t", "never"} {
				if err := tx.Put(table, "k", nil); !errors.Is(err, storage.ErrDropped) {
					t.Errorf("Put to %q after Drop: %v, want ErrDropped", table, err)
				}
			}
			if err := tx.Delete("t", "k"); !errors.Is(err, storage.ErrDropped) {
				t.Errorf("Delete after Drop: %v, want ErrDropped", err)
			}
			return errors.Join(tx.Put("tt", "new", nil), result)
		}
	}
	if err := db.Update(context.Background(), drop(errFail)); !errors.Is(err, errFail) {
		t.Fatal(err)
	}
	wantTable(t, db, "t", "k=v")
	wantTable(t, db, "tt", "k=other")
	update(t, db, drop(nil))
	wantTable(t, db, "t")
	wantTable(t, db, "tt", "k=other", "new=")
	put(t, db, "t", "k", "again")
	wantTable(t, db, "t", "k=again")
	// A table may come and go in one transaction.
	update(t, db, func(tx storage.Tx) error { return errors.Join(tx.Put("brief", "k", nil), tx.Drop("brief")) })
	wantTable(t, db, "brief")
}
