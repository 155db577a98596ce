package audit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// These functions change the tables as somebody with the file could.

func key(seq int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(seq))) }

func rawGet(t *testing.T, tx storage.Tx, seq int64) []byte {
	t.Helper()
	v, err := tx.Get("audit", key(seq))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(v)
}

func setSize(tx storage.Tx, size int64) error {
	return tx.Put("audit.size", "size", binary.BigEndian.AppendUint64(nil, uint64(size)))
}

// rewrite replaces the log's entries from a position on by the events given,
// with all hashes as they should be.
func rewrite(t *testing.T, tx storage.Tx, from int64, events ...audit.Event) error {
	size, err := audit.Size(tx)
	if err != nil {
		return err
	}
	for seq := from; seq < size; seq++ {
		if err := tx.Delete("audit", key(seq)); err != nil {
			return err
		}
	}
	if err := setSize(tx, from); err != nil {
		return err
	}
	for _, e := range events {
		if _, err := audit.Append(tx, e); err != nil {
			return err
		}
	}
	return nil
}

func TestVerifyTellsWhatWasDone(t *testing.T) {
	// A log of 20 entries with checkpoints at 0, 10 and 20.
	for _, c := range []struct {
		name        string
		tamper      func(t *testing.T, tx storage.Tx) error
		kind        audit.Kind
		first, last int64
		says        string
	}{
		{"a byte is changed", func(t *testing.T, tx storage.Tx) error {
			v := rawGet(t, tx, 5)
			return tx.Put("audit", key(5), bytes.Replace(v, []byte("certificate.issue"), []byte("certificate.renew"), 1))
		}, audit.Changed, 5, 5, "entry 5 was changed"},

		{"an event and its own hash are changed", func(t *testing.T, tx storage.Tx) error {
			v := rawGet(t, tx, 6) // a whole subtree of its own: entry 7 completes the next
			v = bytes.Replace(v[32:], []byte("allow"), []byte("denyx"), 1)
			return tx.Put("audit", key(6), append(leafHash(v), v...))
		}, audit.Changed, 6, 6, `decision "denyx"`},

		{"an event and its own hash are changed well", func(t *testing.T, tx storage.Tx) error {
			v := rawGet(t, tx, 6)
			v = bytes.Replace(v[32:], []byte("issue"), []byte("renew"), 1)
			return tx.Put("audit", key(6), append(leafHash(v), v...))
		}, audit.Changed, 6, 7, "entries 6 to 7, or the hash over them, were changed"},

		{"a hash over others is changed", func(t *testing.T, tx storage.Tx) error {
			v := rawGet(t, tx, 7) // leaf, 6 to 7, 4 to 7, 0 to 7
			v[32*3] ^= 1
			return tx.Put("audit", key(7), v)
		}, audit.Changed, 0, 7, "entries 0 to 7, or the hash over them, were changed"},

		{"space is added to an event", func(t *testing.T, tx storage.Tx) error {
			v := bytes.Replace(rawGet(t, tx, 4)[32:], []byte(`,"time"`), []byte(`, "time"`), 1)
			return tx.Put("audit", key(4), append(leafHash(v), v...))
		}, audit.Changed, 4, 4, "not in the form"},

		{"an entry is empty", func(t *testing.T, tx storage.Tx) error {
			return tx.Put("audit", key(9), nil)
		}, audit.Changed, 9, 9, "entry 9 was changed"},

		{"an entry is removed", func(t *testing.T, tx storage.Tx) error {
			return tx.Delete("audit", key(5))
		}, audit.Removed, 5, 5, "entry 5 is missing"},

		{"the first entries are removed", func(t *testing.T, tx storage.Tx) error {
			return errors.Join(tx.Delete("audit", key(0)), tx.Delete("audit", key(1)))
		}, audit.Removed, 0, 1, "entries 0 to 1 are missing"},

		{"the last entries are removed", func(t *testing.T, tx storage.Tx) error {
			return errors.Join(tx.Delete("audit", key(18)), tx.Delete("audit", key(19)))
		}, audit.Removed, 18, 19, "entries 18 to 19 are missing"},

		{"all entries are removed", func(t *testing.T, tx storage.Tx) error {
			return tx.Drop("audit")
		}, audit.Removed, 0, 19, "entries 0 to 19 are missing"},

		{"an entry is removed and later ones move up", func(t *testing.T, tx storage.Tx) error {
			for seq := int64(5); seq < 19; seq++ {
				if err := tx.Put("audit", key(seq), rawGet(t, tx, seq+1)); err != nil {
					return err
				}
			}
			return errors.Join(tx.Delete("audit", key(19)), setSize(tx, 19))
		}, audit.Reordered, 5, 5, "entry 5 holds entry 6"},

		{"two entries are swapped", func(t *testing.T, tx storage.Tx) error {
			a, b := rawGet(t, tx, 4), rawGet(t, tx, 15)
			return errors.Join(tx.Put("audit", key(4), b), tx.Put("audit", key(15), a))
		}, audit.Reordered, 4, 4, "entry 4 holds entry 15"},

		{"two entries of one shape are swapped", func(t *testing.T, tx storage.Tx) error {
			a, b := rawGet(t, tx, 4), rawGet(t, tx, 6)
			return errors.Join(tx.Put("audit", key(4), b), tx.Put("audit", key(6), a))
		}, audit.Reordered, 4, 4, "entry 4 holds entry 6"},

		{"an entry is added at the end", func(t *testing.T, tx storage.Tx) error {
			return tx.Put("audit", key(20), rawGet(t, tx, 18))
		}, audit.Added, 20, 20, "entry 20 is there although the log's size is 20"},

		{"an entry is added far off", func(t *testing.T, tx storage.Tx) error {
			return tx.Put("audit", key(-1), rawGet(t, tx, 18))
		}, audit.Added, 20, 20, "no position"},

		{"a key of another kind is added", func(t *testing.T, tx storage.Tx) error {
			return tx.Put("audit", key(3)+"x", rawGet(t, tx, 3))
		}, audit.Added, 4, 4, "no position"},

		{"the size is lowered", func(t *testing.T, tx storage.Tx) error {
			return setSize(tx, 17)
		}, audit.Added, 17, 17, "the size was lowered"},

		{"the size is removed", func(t *testing.T, tx storage.Tx) error {
			return tx.Drop("audit.size")
		}, audit.Added, 0, 0, "the size was lowered"},

		{"the size is nonsense", func(t *testing.T, tx storage.Tx) error {
			return setSize(tx, -1)
		}, audit.Changed, 0, 0, "size is not a number"},

		{"the size is raised", func(t *testing.T, tx storage.Tx) error {
			return setSize(tx, 25)
		}, audit.Removed, 20, 24, "entries 20 to 24 are missing"},

		{"the end is cut off with the size", func(t *testing.T, tx storage.Tx) error {
			return rewrite(t, tx, 15)
		}, audit.CutOff, 15, 19, "the log ends at size 15 but a checkpoint of it has size 20"},

		{"all is gone with the size", func(t *testing.T, tx storage.Tx) error {
			return errors.Join(tx.Drop("audit"), tx.Drop("audit.size"))
		}, audit.CutOff, 0, 9, "the log ends at size 0 but a checkpoint of it has size 10"},

		{"an event is rewritten with all hashes", func(t *testing.T, tx storage.Tx) error {
			events := slices.Collect(func(yield func(audit.Event) bool) {
				for i := 12; i < 20 && yield(event(i)); i++ {
				}
			})
			events[1].Subject = "somebody-else"
			return rewrite(t, tx, 12, events...)
		}, audit.Rewritten, 10, 19, "entries between the good checkpoint at size 10 and the checkpoint at size 20 were rewritten"},

		{"the last event alone is rewritten", func(t *testing.T, tx storage.Tx) error {
			return rewrite(t, tx, 19, event(1))
		}, audit.Rewritten, 10, 19, "rewritten"},

		{"all is written anew", func(t *testing.T, tx storage.Tx) error {
			events := make([]audit.Event, 30)
			for i := range events {
				events[i] = event(i + 1)
			}
			return rewrite(t, tx, 0, events...)
		}, audit.Rewritten, 0, 9, "entries between the start and the checkpoint at size 10 were rewritten"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := openDB(t)
			s := newSigner(t, "the log's")
			checkpoints := []audit.Checkpoint{open(t, sign(t, db, s), s)}
			for range 2 {
				fill(t, db, 10)
				checkpoints = append(checkpoints, open(t, sign(t, db, s), s))
			}
			slices.Reverse(checkpoints) // their order does not matter

			view(t, db, func(tx storage.Tx) error {
				got, err := audit.Dir("").Verify(tx, checkpoints...)
				want := audit.Report{Size: 20, Root: checkpoints[0].Root, First: event(0).Time, Last: event(19).Time, Checkpoints: 3, Covered: 20}
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("before: %+v, %v; want %+v", got, err, want)
				}
				return nil
			})
			update(t, db, func(tx storage.Tx) error { return c.tamper(t, tx) })
			view(t, db, func(tx storage.Tx) error {
				_, err := audit.Dir("").Verify(tx, checkpoints...)
				e, ok := errors.AsType[*audit.TamperError](err)
				if !ok {
					t.Fatalf("Verify: %v, want a TamperError", err)
				}
				if e.Kind != c.kind || e.First != c.first || e.Last != c.last || !strings.Contains(e.Error(), c.says) {
					t.Errorf("Verify: %q %d to %d: %v\nwant %q %d to %d: %s", e.Kind, e.First, e.Last, e, c.kind, c.first, c.last, c.says)
				}
				return nil
			})
		})
	}
}

// If an attacker recomputes all hashes, only a checkpoint shows it. That is why
// checkpoints are kept elsewhere.
func TestCarefulRewritingNeedsACheckpointToBeFound(t *testing.T) {
	db := openDB(t)
	fill(t, db, 20)
	s := newSigner(t, "the log's")
	c := open(t, sign(t, db, s), s)
	update(t, db, func(tx storage.Tx) error { return rewrite(t, tx, 18, event(3)) })
	fill(t, db, 1)
	view(t, db, func(tx storage.Tx) error {
		if r, err := audit.Dir("").Verify(tx); err != nil || r.Size != 20 || r.Covered != 0 {
			t.Errorf("without a checkpoint: %+v, %v", r, err)
		}
		if _, err := audit.Dir("").Verify(tx, c); kind(err) != audit.Rewritten {
			t.Errorf("with its checkpoint: %v, want that it was rewritten", err)
		}
		return nil
	})
}

func TestReadingFindsWhatWasTamperedWith(t *testing.T) {
	db := openDB(t)
	fill(t, db, 300)
	update(t, db, func(tx storage.Tx) error {
		v := bytes.Replace(rawGet(t, tx, 5), []byte("build-bot"), []byte("bulid-bot"), 1)
		return errors.Join(tx.Put("audit", key(5), v), tx.Delete("audit", key(256)), tx.Delete("audit", key(299)))
	})
	view(t, db, func(tx storage.Tx) error {
		for seq, want := range map[int64]audit.Kind{4: "", 5: audit.Changed, 256: audit.Removed, 299: audit.Removed} {
			if _, err := audit.Get(tx, seq); kind(err) != want {
				t.Errorf("Get(%d): %v, want %q", seq, err, want)
			}
		}
		for from, end := range map[int64]int64{0: 5, 6: 256, 257: 299} {
			next, last := from, error(nil)
			for _, err := range audit.Since(tx, from) {
				if last = err; err == nil {
					next++
				}
			}
			if next != end || kind(last) == "" {
				t.Errorf("Since(%d) ended at %d with %v, want %d", from, next, last, end)
			}
		}
		return nil
	})
}

func TestReadingEndsAtTheSize(t *testing.T) {
	db := openDB(t)
	fill(t, db, 20)
	update(t, db, func(tx storage.Tx) error { return setSize(tx, 17) })
	view(t, db, func(tx storage.Tx) error {
		n := 0
		for _, err := range audit.Since(tx, 0) {
			if n++; err != nil {
				t.Error(err)
			}
		}
		if n != 17 {
			t.Errorf("Since yields %d events, want 17", n)
		}
		if _, err := audit.Get(tx, 17); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get(17): %v, want storage.ErrNotFound", err)
		}
		return nil
	})
}

// A log whose size was lowered must not be written over, and one whose hashes
// are gone not be continued.
func TestAppendToATamperedLogIsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func(tx storage.Tx) error
		want   audit.Kind
	}{
		{"size lowered", func(tx storage.Tx) error { return setSize(tx, 4) }, audit.Added},
		{"size gone", func(tx storage.Tx) error { return tx.Drop("audit.size") }, audit.Added},
		{"size nonsense", func(tx storage.Tx) error { return tx.Put("audit.size", "size", []byte("7")) }, audit.Changed},
		{"last entry gone", func(tx storage.Tx) error { return tx.Delete("audit", key(6)) }, audit.Removed},
		{"last entry short", func(tx storage.Tx) error { return tx.Put("audit", key(6), []byte("{}")) }, audit.Changed},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := openDB(t)
			fill(t, db, 7) // entry 7 completes a tree of 8 and needs 6, 5 and 3
			update(t, db, c.tamper)
			err := db.Update(context.Background(), func(tx storage.Tx) error {
				_, err := audit.Append(tx, event(7))
				return err
			})
			if kind(err) != c.want {
				t.Errorf("Append: %v, want %q", err, c.want)
			}
		})
	}
}

// Everything that Append writes is found to be good after each step, and the
// JSON in the store is what encoding/json writes.
func TestLogVerifiesAfterEachAppend(t *testing.T) {
	db := openDB(t)
	s := newSigner(t, "the log's")
	var checkpoints []audit.Checkpoint
	update(t, db, func(tx storage.Tx) error {
		checkpoints = nil
		for i := range 70 {
			msg, err := audit.Sign(tx, s)
			if err != nil {
				return err
			}
			checkpoints = append(checkpoints, open(t, msg, s))
			r, err := audit.Dir("").Verify(tx, checkpoints...)
			if err != nil || r.Checkpoints != i+1 || r.Root != checkpoints[i].Root {
				return fmt.Errorf("at %d: %+v, %w", i, r, err)
			}
			e, err := audit.Append(tx, event(i))
			if err != nil {
				return err
			}
			want, err := json.Marshal(e)
			if v := rawGet(t, tx, int64(i)); err != nil || !bytes.HasSuffix(v, want) || !bytes.Equal(v[:32], leafHash(want)) {
				return fmt.Errorf("entry %d is %q, want %s", i, v, want)
			}
		}
		return nil
	})
}

func kind(err error) audit.Kind {
	if e, ok := errors.AsType[*audit.TamperError](err); ok {
		return e.Kind
	}
	return ""
}
