package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

func TestVerify(t *testing.T) {
	path := makeSample(t)
	if err := bolt.Verify(path); err != nil {
		t.Fatal(err)
	}
	// All but the two pages at the start.
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 40*4096), 2*4096); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := bolt.Verify(path); err == nil || !strings.Contains(err.Error(), ": page ") {
		t.Errorf("Verify: %v, want it to name a page", err)
	}
}

func TestCheckWhileWriting(t *testing.T) {
	db := open(t, makeSample(t))
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for writer := range 4 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				err := db.Update(ctx, put("many", fmt.Sprint(writer, i%500), make([]byte, i%2000)))
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		if err := db.Check(context.Background()); err != nil {
			t.Error(err)
		}
	}
	cancel()
	all.Wait()
	if err := db.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Check with a context that is done: %v", err)
	}
}

// A slowWriter lets other things happen between its writes.
type slowWriter struct{ between func() }

func (s slowWriter) Write(p []byte) (int, error) { s.between(); return len(p), nil }

func TestBackupDoesNotBlockWriters(t *testing.T) {
	db := open(t, makeSample(t))
	ctx := context.Background()
	n := 0
	err := db.Backup(ctx, slowWriter{func() {
		if n++; n <= 3 {
			// More than the 16 MB by which the file grows at a time.
			update(t, db, put("t", fmt.Sprint(n), make([]byte, 10<<20)))
		}
	}})
	if err != nil || n < 3 {
		t.Errorf("Backup in %d writes: %v", n, err)
	}

	ctx, cancel := context.WithCancel(ctx)
	n = 0
	err = db.Backup(ctx, slowWriter{func() { n++; cancel() }})
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("Backup whose context ended at the first of %d writes: %v", n, err)
	}
	if err := db.Backup(context.Background(), io.Discard); err != nil {
		t.Error(err)
	}
}

// TestRisingKeysFillPages holds the file to the size of what is in it.
func TestRisingKeysFillPages(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "brevet.db"))
	const n, size = 3000, 300
	update(t, db, func(tx storage.Tx) error {
		for i := range n {
			if err := tx.Put("t", fmt.Sprintf("%08d", i), make([]byte, size)); err != nil {
				return err
			}
		}
		return nil
	})
	var copied bytes.Buffer
	if err := db.Backup(context.Background(), &copied); err != nil {
		t.Fatal(err)
	}
	if got, most := copied.Len(), n*size*4/3; got > most {
		t.Errorf("%d records of %d bytes take %d, want at most %d", n, size, got, most)
	}
}
