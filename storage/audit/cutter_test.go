package audit_test

import (
	"context"
	"iter"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A scanningDB counts the records that its readers scan.
type scanningDB struct {
	storage.DB
	n int
}

func (c *scanningDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	return c.DB.View(ctx, func(tx storage.Tx) error { return fn(scanningTx{tx, &c.n}) })
}

type scanningTx struct {
	storage.Tx
	n *int
}

func (c scanningTx) Scan(table, prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for k, v := range c.Tx.Scan(table, prefix) {
			if *c.n++; !yield(k, v) {
				return
			}
		}
	}
}

// TestCutterReadsEachEventOnce until there is a segment to cut: it looks each minute. It cuts
// where one does that looks for the first time.
func TestCutterReadsEachEventOnce(t *testing.T) {
	s := newSigner(t, "the log's")
	l, fresh := newLog(t, 0), newLog(t, 0)
	counting := &scanningDB{DB: l.DB}
	c, cuts, events := &audit.Cutter{Log: audit.Log{DB: counting, Segments: l.Segments}}, 0, 0
	for ; cuts < 2 && events < 2000; events += 9 {
		fill(t, l.DB, 9)
		fill(t, fresh.DB, 9)
		counting.n = 0
		done, err := c.Cut(t.Context(), 40_000, s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := (&audit.Cutter{Log: fresh}).Cut(t.Context(), 40_000, s)
		if err != nil || again != done {
			t.Fatalf("after %d events: %t, and by another %t, %v", events, done, again, err)
		}
		if done {
			cuts++
		} else if most := 256 + 9; counting.n > most { // records are scanned by 256
			t.Fatalf("after %d events, a look scans %d records", events, counting.n)
		}
	}
	if cuts < 2 {
		t.Errorf("%d events made %d segments", events, cuts)
	}
}
