// Package storagetest is the suite of tests that every engine of
// [storage.DB] passes.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A Place is where one store lies. It is empty at first.
type Place interface {
	// Open opens the store. After Close it is opened again with what was written.
	Open() (storage.DB, error)
	// Restore fills an empty place with what Backup wrote.
	Restore(backup []byte) error
}

// Run tests the engine whose stores lie in the places that factory makes, a new one
// at each call.
func Run(t *testing.T, factory func(testing.TB) Place) {
	s := suite{factory}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Values", s.values},
		{"Names", s.names},
		{"Scan", s.scan},
		{"ReadOnly", s.readOnly},
		{"Ended", s.ended},
		{"Large", s.large},
		{"Drop", s.drop},
		{"Failure", s.failure},
		{"Panic", s.panics},
		{"Goexit", s.goexit},
		{"Context", s.context},
		{"Close", s.close},
		{"Snapshot", s.snapshot},
		{"Durable", s.durable},
		{"Counter", s.counter},
		{"Group", s.group},
		{"Transfers", s.transfers},
		{"Backup", s.backup},
		{"Changed", s.changed},
		{"Model", func(t *testing.T) { s.model(t, 1) }},
		{"ModelTogether", func(t *testing.T) { s.model(t, 8) }},
		{"Table", s.table},
		{"TableBinary", s.tableBinary},
		{"Partitioned", s.partitioned},
		{"Partitions", s.partitions},
	} {
		t.Run(test.name, test.run)
	}
}

type suite struct {
	place func(testing.TB) Place
}

// content is what a store holds, by table and key.
type content map[string]map[string]string

var errFail = errors.New("this closure fails")

// openNew opens an empty store that is closed after the test.
func (s suite) openNew(t *testing.T) storage.DB {
	t.Helper()
	return open(t, s.place(t))
}

func open(t *testing.T, p Place) storage.DB {
	t.Helper()
	db, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
			t.Error(err)
		}
	})
	return db
}

func update(t *testing.T, db storage.DB, fn func(storage.Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, db storage.DB, fn func(storage.Tx) error) {
	t.Helper()
	if err := db.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, db storage.DB, table, key, value string) {
	t.Helper()
	update(t, db, func(tx storage.Tx) error { return tx.Put(table, key, []byte(value)) })
}

// wantTable fails the test unless the table holds exactly the pairs
// given, as "key=value", in their order.
func wantTable(t *testing.T, db storage.DB, table string, want ...string) {
	t.Helper()
	view(t, db, func(tx storage.Tx) error {
		if got := pairs(tx, table, ""); !slices.Equal(got, want) {
			t.Errorf("table %q holds %q, want %q", table, got, want)
		}
		return nil
	})
}

func pairs(tx storage.Tx, table, prefix string) []string {
	var got []string
	for k, v := range tx.Scan(table, prefix) {
		got = append(got, k+"="+string(v))
	}
	return got
}

// difference says how the tables named in tx differ from want, or nothing. It
// reads each table by Scan and each key by Get.
func difference(tx storage.Tx, tables []string, want content) error {
	for _, table := range tables {
		keys := slices.Sorted(maps.Keys(want[table]))
		i := 0
		for k, v := range tx.Scan(table, "") {
			if i == len(keys) || k != keys[i] {
				return fmt.Errorf("scan of %q: pair %d has the key %q, want of %q", table, i, k, keys)
			}
			if string(v) != want[table][k] {
				return fmt.Errorf("scan of %q: %q has %d bytes that differ from the %d wanted", table, k, len(v), len(want[table][k]))
			}
			got, err := tx.Get(table, k)
			if err != nil || string(got) != string(v) {
				return fmt.Errorf("get of %q, %q: %d bytes and error %v, want the %d bytes of the scan", table, k, len(got), err, len(v))
			}
			i++
		}
		if i != len(keys) {
			return fmt.Errorf("scan of %q: %d pairs, want %d", table, i, len(keys))
		}
	}
	return nil
}

// await waits until something has happened in another goroutine. The wait is long
// enough on any machine that is not overloaded. If it is too short, no test fails;
// some then test less.
func await() { time.Sleep(20 * time.Millisecond) }
