package bolt_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// writeForEver puts one record after the other in two tables, by several
// writers, and prints each that was committed.
func writeForEver(path string) error {
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for writer := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d-%06d", writer, i)
				err := db.Update(context.Background(), func(tx storage.Tx) error {
					if err := tx.Put("a", key, make([]byte, 300)); err != nil {
						return err
					}
					return tx.Put("b", key, nil)
				})
				if err != nil {
					panic(err)
				}
				fmt.Println(key)
			}
		})
	}
	all.Wait()
	return nil
}

func TestKilledProcessLeavesWhatItCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "brevet.db")
	for round := range 3 {
		lines, kill := start(t, "write", path)
		var committed []string
		for len(committed) < 100*(round+1) && lines.Scan() {
			committed = append(committed, lines.Text())
		}
		kill()
		if err := bolt.Verify(path); err != nil {
			t.Fatal(err)
		}
		db := open(t, path)
		err := db.View(context.Background(), func(tx storage.Tx) error {
			for _, key := range committed {
				for _, table := range []string{"a", "b"} {
					if _, err := tx.Get(table, key); err != nil {
						t.Errorf("%s was committed, but Get from %s: %v", key, table, err)
					}
				}
			}
			for key := range tx.Scan("a", "") {
				if _, err := tx.Get("b", key); err != nil {
					t.Errorf("%s is in one table only", key)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
