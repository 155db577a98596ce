package audit_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// BenchmarkLog measures a log of ten thousand and one of a million events, by
// the event: a million take seconds to write. The benchmark "append" puts a
// thousand into each transaction; what a commit costs is for storage/bolt.
func BenchmarkLog(b *testing.B) {
	for _, size := range []int{10_000, 1_000_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			if os.Getenv("BREVET_LONG") == "" && size > 10_000 {
				b.Skip("a million events take seconds to write: set BREVET_LONG=1")
			}
			benchmark(b, size)
		})
	}
}

func benchmark(b *testing.B, size int) {
	path := filepath.Join(b.TempDir(), "brevet.db")
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for n := 0; n < size; n += 10_000 {
		fill(b, db, 10_000)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	s := newSigner(b, "the log's")

	read := func(name string, fn func(tx storage.Tx, i int) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			err := db.View(context.Background(), func(tx storage.Tx) error {
				for i := 0; b.Loop(); i++ {
					if err := fn(tx, i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
	read("get", func(tx storage.Tx, i int) error {
		_, err := audit.Get(tx, int64(i*7919%size))
		return err
	})
	read("after", func(tx storage.Tx, i int) error {
		_, err := audit.AfterIn(tx, event(i*7919%size).Time)
		return err
	})
	read("prove", func(tx storage.Tx, i int) error {
		_, err := audit.ProveInclusion(tx, int64(i*7919%size), int64(size))
		return err
	})
	read("sign", func(tx storage.Tx, i int) error {
		_, err := audit.Sign(tx, s)
		return err
	})
	read("since", func(tx storage.Tx, i int) error { // the whole log
		for _, err := range audit.Since(tx, 0) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	read("verify", func(tx storage.Tx, i int) error { // the whole log
		_, err := audit.Dir("").Verify(tx)
		return err
	})

	// Last, for it makes the log longer.
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		e := event(1)
		for n := 0; n < b.N; n += 1000 {
			update(b, db, func(tx storage.Tx) error {
				for range min(1000, b.N-n) {
					if _, err := audit.Append(tx, e); err != nil {
						return err
					}
				}
				return nil
			})
		}
		b.ReportMetric(float64(info.Size())/float64(size), "B/event")
	})
}

// BenchmarkSegment cuts and reads segments, by the event. It compares a segment with its
// events before compression, of which there are as many random octets as issuances have.
func BenchmarkSegment(b *testing.B) {
	s := newSigner(b, "the log's")
	l := newLog(b, 0)
	for range 20 {
		update(b, l.DB, func(tx storage.Tx) error {
			for i := range 1000 {
				e := event(i)
				text := rand.Text() + rand.Text()
				e.Credential, e.Request = hex.EncodeToString([]byte(text[:20])), hex.EncodeToString([]byte(text[20:28]))
				sum := sha256.Sum256([]byte(text))
				e.Details = &audit.Details{Scopes: []string{"repo:read"}, Lifetime: 600, NotAfter: e.Time, Peer: "10.0.0.1", Certificate: hex.EncodeToString(sum[:20]), KeyThumbprint: hex.EncodeToString(sum[:])}
				if _, err := audit.Append(tx, e); err != nil {
					return err
				}
			}
			return nil
		})
	}
	const size = 4_000_000
	begin := time.Now()
	if done, err := (&audit.Cutter{Log: l}).Cut(b.Context(), size, s); !done || err != nil {
		b.Fatal(done, err)
	}
	cut := time.Since(begin)
	list := cutAll(b, l, size, s)
	info, err := os.Stat(filepath.Join(string(l.Segments), list[0].Name()))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, err := range l.Segments.Events(list[0]) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(cut.Nanoseconds())/float64(list[0].Next), "ns/event-cut")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(list[0].Next), "ns/event-read")
	b.ReportMetric(float64(info.Size())/float64(len(segmentText(b, l.Segments, list[0]))), "of-plain")
}
