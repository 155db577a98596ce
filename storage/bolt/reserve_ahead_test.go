package bolt

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

// TestRoomIsTakenAhead: the file grows in steps of several megabytes. Each step costs a sync.
func TestRoomIsTakenAhead(t *testing.T) {
	db, err := Open(newPath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	steps, take := 0, db.room.take
	db.room.take = func(f *os.File, from, to int64) (int64, error) {
		steps++
		return take(f, from, to)
	}
	const records, size = 600, 16 << 10
	for n := range records {
		err := db.Update(context.Background(), func(tx storage.Tx) error {
			return tx.Put("t", fmt.Sprint(n), bytes.Repeat([]byte{1}, size))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if most := records*size*2/ahead + 2; steps > most {
		t.Errorf("%d records of %d bytes took room in %d steps, want at most %d", records, size, steps, most)
	}
}
