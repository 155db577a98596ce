package audit_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

var start = time.Date(2025, 11, 23, 12, 0, 0, 123456789, time.UTC)

// event is the i'th of a log that a day's work might leave.
func event(i int) audit.Event {
	e := audit.Event{
		Time:       start.Add(time.Duration(i) * time.Second),
		Actor:      fmt.Sprintf("spiffe://example.test/agent/build-bot-%d", i%7),
		Action:     "certificate.issue",
		Subject:    fmt.Sprintf("build-bot-%d", i%7),
		Decision:   audit.Allow,
		Request:    fmt.Sprintf("%016x", i),
		Credential: fmt.Sprintf("%032x", i),
	}
	if i%5 == 4 {
		e.Decision, e.Credential = audit.Deny, ""
		e.Reasons = []string{"the agent is suspended", `it asked for "ssh" & <more>`}
	}
	return e
}

func openDB(t testing.TB) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func update(t testing.TB, db storage.DB, fn func(tx storage.Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, db storage.DB, fn func(tx storage.Tx) error) {
	t.Helper()
	if err := db.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// fill appends n events.
func fill(t testing.TB, db storage.DB, n int) {
	t.Helper()
	update(t, db, func(tx storage.Tx) error {
		size, err := audit.Size(tx)
		for i := 0; i < n && err == nil; i++ {
			_, err = audit.Append(tx, event(int(size)+i))
		}
		return err
	})
}

// newSigner returns a signer whose key follows from its name.
func newSigner(t testing.TB, name string) *audit.Signer {
	t.Helper()
	s, err := testSigner(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testSigner(name string) (*audit.Signer, error) {
	seed := sha256.Sum256([]byte(name))
	return audit.NewSigner("ca.example.test/audit", ed25519.NewKeyFromSeed(seed[:]))
}

func sign(t testing.TB, db storage.DB, s *audit.Signer) (msg []byte) {
	t.Helper()
	view(t, db, func(tx storage.Tx) (err error) {
		msg, err = audit.Sign(tx, s)
		return err
	})
	return msg
}

func open(t testing.TB, msg []byte, v ...note.Verifier) audit.Checkpoint {
	t.Helper()
	c, err := audit.OpenCheckpoint(msg, v...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAppendedEventsAreReadBackInOrder(t *testing.T) {
	db := openDB(t)
	const n = 600 // three prefixes of Since
	var want []audit.Event
	update(t, db, func(tx storage.Tx) error {
		want = nil
		for i := range n {
			e, err := audit.Append(tx, event(i))
			if err != nil {
				return err
			}
			if e.Seq != int64(i) {
				t.Errorf("event %d was recorded at %d", i, e.Seq)
			}
			want = append(want, e)
		}
		return nil
	})
	view(t, db, func(tx storage.Tx) error {
		for i := range want {
			got, err := audit.Get(tx, int64(i))
			if err != nil || !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("Get(%d) = %+v, %v; want %+v", i, got, err, want[i])
			}
		}
		for _, seq := range []int64{-1, n, n + 1} {
			if _, err := audit.Get(tx, seq); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("Get(%d): %v, want storage.ErrNotFound", seq, err)
			}
		}
		for _, from := range []int64{-5, 0, 1, 254, 255, 256, 257, 511, 512, 599, 600, 10000} {
			next := max(from, 0)
			for e, err := range audit.Since(tx, from) {
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(e, want[next]) {
					t.Fatalf("Since(%d) yields %+v, want %+v", from, e, want[next])
				}
				next++
			}
			if next != max(n, from) {
				t.Errorf("Since(%d) ended before %d, want %d", from, next, n)
			}
		}
		for range audit.Since(tx, 3) {
			break // must not go on
		}
		return nil
	})
}

func TestAppendReturnsWhatIsReadBack(t *testing.T) {
	db := openDB(t)
	e := event(0)
	e.Time = time.Now().In(time.FixedZone("east", 3600))
	e.Reasons = []string{}
	var want audit.Event
	update(t, db, func(tx storage.Tx) (err error) {
		want, err = audit.Append(tx, e)
		return err
	})
	view(t, db, func(tx storage.Tx) error {
		got, err := audit.Get(tx, 0)
		if err != nil || !reflect.DeepEqual(got, want) || !got.Time.Equal(e.Time) {
			t.Errorf("Get(0) = %#v, %v; want %#v", got, err, want)
		}
		return nil
	})
}

func TestAfterFindsTheFirstEventOfATime(t *testing.T) {
	db := openDB(t)
	fill(t, db, 100) // one a second
	view(t, db, func(tx storage.Tx) error {
		for _, c := range []struct {
			at   time.Duration
			want int64
		}{
			{-time.Hour, 0}, {0, 0}, {1, 1}, {time.Second, 1}, {42 * time.Second, 42},
			{42*time.Second + 1, 43}, {99 * time.Second, 99}, {99*time.Second + 1, 100}, {time.Hour, 100},
		} {
			if got, err := (audit.Log{DB: db}).After(t.Context(), start.Add(c.at)); got != c.want || err != nil {
				t.Errorf("After(start+%v) = %d, %v; want %d", c.at, got, err, c.want)
			}
		}
		return nil
	})
}

func TestAfterWhenTheClockWasSetBackIsOffByThatMuch(t *testing.T) {
	db := openDB(t)
	// 50 seconds forward, 10 back, 50 forward.
	at := func(i int) time.Time {
		if i >= 50 {
			i -= 10
		}
		return start.Add(time.Duration(i) * time.Second)
	}
	update(t, db, func(tx storage.Tx) error {
		for i := range 100 {
			e := event(i)
			e.Time = at(i)
			if _, err := audit.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, db, func(tx storage.Tx) error {
		for s := range 90 {
			when := start.Add(time.Duration(s) * time.Second)
			got, err := audit.Log{DB: db}.After(t.Context(), when)
			if err != nil {
				t.Fatal(err)
			}
			if got > 0 && !at(int(got-1)).Before(when) || at(int(got)).Before(when) {
				t.Errorf("After(start+%ds) = %d, which is no boundary", s, got)
			}
			if want := int64(s); got != want && got != want+10 {
				t.Errorf("After(start+%ds) = %d, want %d or %d", s, got, want, want+10)
			}
		}
		return nil
	})
}

func TestFailedTransactionLeavesNoEvent(t *testing.T) {
	db := openDB(t)
	fill(t, db, 3)
	before := open(t, sign(t, db, newSigner(t, "a")), newSigner(t, "a"))
	failed := errors.New("no")
	err := db.Update(context.Background(), func(tx storage.Tx) error {
		if _, err := audit.Append(tx, event(3)); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatalf("Update: %v, want %v", err, failed)
	}
	after := open(t, sign(t, db, newSigner(t, "a")), newSigner(t, "a"))
	if before != after {
		t.Errorf("the log is %v, want %v", after, before)
	}
	view(t, db, func(tx storage.Tx) error {
		if _, err := tx.Get("audit", "\x00\x00\x00\x00\x00\x00\x00\x03"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("entry 3: %v, want storage.ErrNotFound", err)
		}
		return nil
	})
}

func TestAppendRefusesMistakesOfTheCaller(t *testing.T) {
	db := openDB(t)
	for name, spoil := range map[string]func(*audit.Event){
		"no time":     func(e *audit.Event) { e.Time = time.Time{} },
		"year 10000":  func(e *audit.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"no actor":    func(e *audit.Event) { e.Actor = "" },
		"no action":   func(e *audit.Event) { e.Action = "" },
		"no such one": func(e *audit.Event) { e.Action = "certificate.isue" },
		"no decision": func(e *audit.Event) { e.Decision = "" },
		"maybe":       func(e *audit.Event) { e.Decision = "maybe" },
	} {
		t.Run(name, func(t *testing.T) {
			err := db.Update(context.Background(), func(tx storage.Tx) error {
				e := event(0)
				spoil(&e)
				_, err := audit.Append(tx, e)
				return err
			})
			if err == nil {
				t.Error("was recorded")
			}
		})
	}
}

func TestNoEventIsLostForItsSize(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	control := strings.Repeat("\x01", 9_000) // six bytes each in JSON
	many := make([]string, 20_000)
	for i := range many {
		many[i] = fmt.Sprintf("reason %d \xff", i)
	}
	for name, e := range map[string]audit.Event{
		"one string":   {Actor: "a", Action: audit.AgentSet, Subject: long},
		"every string": {Actor: long, OnBehalfOf: long, Action: audit.AgentSet, Subject: long, Request: long, Credential: long, Reasons: []string{long, long}},
		"escapes":      {Actor: control, OnBehalfOf: control, Action: audit.AgentSet, Subject: control, Request: control, Credential: control, Reasons: []string{control, control}},
		"reasons":      {Actor: "a", Action: audit.AgentSet, Reasons: many},
		"runes":        {Actor: "a", Action: audit.AgentSet, Subject: strings.Repeat("語", 10_000)},
		"bad UTF-8":    {Actor: "a\xff\xfeb", Action: audit.AgentSet, Reasons: []string{"\xc3\x28"}},
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t)
			e.Time, e.Decision = start, audit.Deny
			var recorded audit.Event
			update(t, db, func(tx storage.Tx) (err error) {
				recorded, err = audit.Append(tx, e)
				return err
			})
			view(t, db, func(tx storage.Tx) error {
				got, err := audit.Get(tx, 0)
				if err != nil || !reflect.DeepEqual(got, recorded) {
					t.Errorf("Get(0) = %+v, %v; want %+v", got, err, recorded)
				}
				value, err := tx.Get("audit", "\x00\x00\x00\x00\x00\x00\x00\x00")
				if size := len(value) - 32; size > 16<<10 || err != nil {
					t.Errorf("event has %d bytes (%v), want at most 16384", size, err)
				}
				if name != "bad UTF-8" && !strings.Contains(string(value), "cut from") && !strings.Contains(string(value), "more reasons") {
					t.Errorf("event was cut without a mark: %.300q", value[32:])
				}
				return nil
			})
			if name == "bad UTF-8" && (recorded.Actor != "a\uFFFDb" || recorded.Reasons[0] != "\uFFFD(") {
				t.Errorf("recorded actor %q, reasons %q", recorded.Actor, recorded.Reasons)
			}
			if many[0] != "reason 0 \xff" {
				t.Fatal("Append changed the caller's reasons")
			}
		})
	}
}
