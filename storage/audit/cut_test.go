package audit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// newLog returns a log with n events.
func newLog(t testing.TB, n int) audit.Log {
	t.Helper()
	l := audit.Log{DB: openDB(t), Segments: audit.Dir(filepath.Join(t.TempDir(), "segments"))}
	fill(t, l.DB, n)
	return l
}

// cutAll cuts the log while there is enough, and returns its segments.
func cutAll(t testing.TB, l audit.Log, size int64, s *audit.Signer) (list []audit.Segment) {
	t.Helper()
	for c := (&audit.Cutter{Log: l}); ; {
		done, err := c.Cut(t.Context(), size, s)
		if err != nil {
			t.Fatal(err)
		}
		if !done {
			break
		}
	}
	view(t, l.DB, func(tx storage.Tx) error {
		list = nil
		for s, err := range audit.Segments(tx) {
			if err != nil {
				return err
			}
			list = append(list, s)
		}
		return nil
	})
	return list
}

func readAll(t testing.TB, l audit.Log, from int64) (all []audit.Event) {
	t.Helper()
	for some, err := range l.Read(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

// stored counts the events in the store.
func stored(t testing.TB, db storage.DB) (n int) {
	t.Helper()
	view(t, db, func(tx storage.Tx) error {
		n = 0
		for range tx.Scan("audit", "") {
			n++
		}
		return nil
	})
	return n
}

// TestCutLogIsTheSameLog: a log that is cut at places of all kinds, while events are added,
// has the events, the root hashes and the proofs of one that is not.
func TestCutLogIsTheSameLog(t *testing.T) {
	s := newSigner(t, "the log's")
	whole, l := newLog(t, 0), newLog(t, 0)
	var kept []audit.Checkpoint
	for round := range 8 {
		n := 1 + rand.IntN(200)
		fill(t, whole.DB, n)
		fill(t, l.DB, n)
		kept = append(kept, open(t, sign(t, whole.DB, s), s))
		list := cutAll(t, l, int64(2000+rand.IntN(20_000)), s)
		if round > 5 && list == nil {
			t.Fatal("nothing was cut")
		}
		want, err := whole.Verify(t.Context(), nil, kept...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.Verify(t.Context(), nil, kept...); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("verified %+v, %v; want %+v", got, err, want)
		}
		view(t, l.DB, func(tx storage.Tx) error { return audit.CheckSaved(tx, s) })
	}
	events := readAll(t, whole, 0)
	for _, from := range []int64{0, 1, int64(rand.IntN(len(events))), int64(len(events) - 1), int64(len(events))} {
		if got := readAll(t, l, from); len(got) != len(events)-int(from) || len(got) > 0 && !reflect.DeepEqual(got, events[from:]) {
			t.Errorf("from %d there are %d events of %d, or others", from, len(got), len(events))
		}
	}
	for seq, e := range events {
		if rand.IntN(8) != 0 {
			continue
		}
		p, err := l.Prove(t.Context(), int64(seq), func(tx storage.Tx) ([]byte, error) { return audit.Sign(tx, s) })
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := p.Check(s); err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("proven for entry %d is %+v, %v", seq, got, err)
		}
		if got, err := l.After(t.Context(), e.Time); err != nil || got != int64(seq) {
			t.Fatalf("after the time of entry %d is %d, %v", seq, got, err)
		}
	}
	if got, err := l.After(t.Context(), start.Add(1e18)); got != int64(len(events)) || err != nil {
		t.Errorf("after the end of the log is %d, %v; want %d", got, err, len(events))
	}
	view(t, l.DB, func(tx storage.Tx) error {
		size, log, err := audit.Sealed(tx)
		if stored(t, l.DB) != len(events)-int(size) || log != s.Name() || err != nil {
			t.Errorf("%d events of %d left the store, %d are in it; log %q, %v", size, len(events), stored(t, l.DB), log, err)
		}
		_, err = audit.Get(tx, 0)
		if _, ok := errors.AsType[*audit.SealedError](err); !ok {
			t.Errorf("the store has entry 0: %v", err)
		}
		return nil
	})
}

// TestSegmentsMovedAway: what is left can be read and verified, and errors name what is not
// there.
func TestSegmentsMovedAway(t *testing.T) {
	s := newSigner(t, "the log's")
	l := newLog(t, 1000)
	early := open(t, sign(t, l.DB, s), s)
	list := cutAll(t, l, 40_000, s)
	if len(list) < 4 {
		t.Fatalf("%d segments", len(list))
	}
	away := t.TempDir()
	move := func(i int, back bool) {
		from, to := filepath.Join(string(l.Segments), list[i].Name()), filepath.Join(away, list[i].Name())
		if back {
			from, to = to, from
		}
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, gone := range [][]int{{0}, {1}, {0, 1}, {1, 2}, {len(list) - 1}, {0, len(list) - 1}} {
		var want []audit.Segment
		for _, i := range gone {
			move(i, false)
			want = append(want, list[i])
		}
		if got, err := l.Missing(t.Context(), 0, 1000); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("missing are %v, %v; want %v", got, err, want)
		}
		r, err := l.Verify(t.Context(), nil, early)
		if err != nil || r.Size != 1000 || !reflect.DeepEqual(r.Missing, want) || r.Covered != early.Size {
			t.Errorf("without %v: %+v, %v", gone, r, err)
		}
		first := want[0]
		for some, err := range l.Read(t.Context(), 0) {
			if sealed, ok := errors.AsType[*audit.SealedError](err); err != nil && (!ok || sealed.Segment != first || sealed.Dir == "") {
				t.Errorf("reading without %v: %v", gone, err)
			}
			if err == nil && some[len(some)-1].Seq >= first.Next {
				t.Errorf("entry %d was read, past segment %s", some[len(some)-1].Seq, first.Name())
			}
		}
		_, err = l.Prove(t.Context(), first.First, func(tx storage.Tx) ([]byte, error) { return audit.Sign(tx, s) })
		if sealed, ok := errors.AsType[*audit.SealedError](err); !ok || sealed.Segment != first {
			t.Errorf("proving without %v: %v", gone, err)
		}
		if at, err := l.After(t.Context(), first.End); err != nil || at != first.First && first.First != first.Next-1 {
			t.Errorf("after the end of a segment that is not there is %d, %v; want %d", at, err, first.First)
		}
		for _, i := range gone {
			move(i, true)
		}
	}
	var at []audit.Checkpoint // at the ends of a segment that is not there, and within
	for _, size := range []int64{list[1].First, list[1].First + 1, list[1].Next} {
		whole := newLog(t, int(size))
		at = append(at, open(t, sign(t, whole.DB, s), s))
	}
	move(1, false)
	for i, c := range at {
		_, err := l.Verify(t.Context(), nil, c)
		if _, sealed := errors.AsType[*audit.SealedError](err); sealed != (i == 1) || err != nil && !sealed {
			t.Errorf("a checkpoint at size %d: %v", c.Size, err)
		}
	}
}

// TestTwoNodesCut: nodes that share a store and a directory make each segment once, and
// lose nothing.
func TestTwoNodesCut(t *testing.T) {
	s := newSigner(t, "the log's")
	l := newLog(t, 2000)
	want := readAll(t, l, 0)
	var nodes sync.WaitGroup
	for range 3 {
		nodes.Go(func() {
			for range 40 {
				if _, err := (&audit.Cutter{Log: l}).Cut(context.Background(), 40_000, s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	nodes.Wait()
	if got := readAll(t, l, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("there are %d events of %d, or others", len(got), len(want))
	}
	list := cutAll(t, l, 40_000, s)
	if files, err := os.ReadDir(string(l.Segments)); err != nil || len(files) != len(list) || len(list) < 5 {
		t.Errorf("%d segments, files %v, %v", len(list), files, err)
	}
	if _, err := l.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

var errCrash = errors.New("crash")

// A crashingDB fails from a call on.
type crashingDB struct {
	storage.DB
	left int
}

func (c *crashingDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	if c.left--; c.left < 0 {
		return errCrash
	}
	return c.DB.View(ctx, fn)
}

func (c *crashingDB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if c.left--; c.left < 0 {
		return errCrash
	}
	return c.DB.Update(ctx, fn)
}

// A noUpdates fails all that writes.
type noUpdates struct{ storage.DB }

func (noUpdates) Update(context.Context, func(storage.Tx) error) error { return errCrash }

// TestCutGoesOnAfterACrash: wherever a cut ends, the log is whole, and the next cut does the
// rest.
func TestCutGoesOnAfterACrash(t *testing.T) {
	s := newSigner(t, "the log's")
	for step := 0; ; step++ {
		l := newLog(t, 1000)
		want := readAll(t, l, 0)
		_, err := (&audit.Cutter{Log: audit.Log{DB: &crashingDB{l.DB, step}, Segments: l.Segments}}).Cut(t.Context(), 100_000, s)
		if err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		if got := readAll(t, l, 0); !reflect.DeepEqual(got, want) {
			t.Fatalf("after step %d there are %d events of %d, or others", step, len(got), len(want))
		}
		if r, verr := l.Verify(t.Context(), nil); verr != nil || r.Size != 1000 {
			t.Fatalf("after step %d: %+v, %v", step, r, verr)
		}
		list := cutAll(t, l, 100_000, s)
		if got := readAll(t, l, 0); !reflect.DeepEqual(got, want) || len(list) == 0 {
			t.Fatalf("after step %d and another cut there are %d events of %d, or others", step, len(got), len(want))
		}
		if n := stored(t, l.DB); n != 1000-int(list[len(list)-1].Next) {
			t.Fatalf("after step %d and another cut, %d events are in the store", step, n)
		}
		if err == nil {
			if step < 6 {
				t.Errorf("a cut has %d steps", step)
			}
			return
		}
	}
}

// TestCutTakesTheFileOfACrash: a file that a crash left is taken if it has the same events,
// and never replaced if not.
func TestCutTakesTheFileOfACrash(t *testing.T) {
	s := newSigner(t, "the log's")
	l := newLog(t, 500)
	db := noUpdates{l.DB} // the record of the segment fails
	if _, err := (&audit.Cutter{Log: audit.Log{DB: db, Segments: l.Segments}}).Cut(t.Context(), 40_000, s); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	files, err := os.ReadDir(string(l.Segments))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	path := filepath.Join(string(l.Segments), files[0].Name())
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), text...)
	damaged[len(damaged)/2] ^= 1
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if done, err := (&audit.Cutter{Log: l}).Cut(t.Context(), 40_000, s); done || err == nil {
		t.Errorf("cut with a damaged file: %t, %v", done, err)
	}
	if stored(t, l.DB) != 500 {
		t.Error("events left the store for a damaged file")
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	rotated, err := testSigner("the next key")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := (&audit.Cutter{Log: l}).Cut(t.Context(), 40_000, rotated, rotated, s); !done || err != nil {
		t.Errorf("cut after a rotation: %t, %v", done, err)
	}
	if _, err := l.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestStoreStaysBounded: the store's file does not grow with the number of events.
func TestStoreStaysBounded(t *testing.T) {
	events, size := 20_000, int64(1<<18)
	if os.Getenv("BREVET_LONG") != "" {
		events, size = 1_000_000, 1<<22
	}
	s := newSigner(t, "the log's")
	l := newLog(t, 0)
	var half int64
	for n := 0; n < events; n += 500 {
		fill(t, l.DB, 500)
		cutAll(t, l, size, s)
		if n == events/2 {
			half = storage.StatsOf(l.DB).Size
		}
	}
	end := storage.StatsOf(l.DB).Size
	if half == 0 || end > half {
		t.Errorf("the store has %d octets after %d events and %d after %d", half, events/2, end, events)
	}
	if r, err := l.Verify(t.Context(), nil); err != nil || r.Size != int64(events) {
		t.Errorf("%+v, %v", r, err)
	}
	t.Logf("%d events, %d octets in the store", events, end)
}
