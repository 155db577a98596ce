package bolt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// value is about what a record of a certificate or token takes.
var value = make([]byte, 300)

// BenchmarkUpdate puts one record per transaction, keys rising.
func BenchmarkUpdate(b *testing.B) {
	writers(b, func(b *testing.B, dir string) func(key string) error {
		db, err := bolt.Open(filepath.Join(dir, "db"), bolt.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			s := db.Stats()
			b.ReportMetric(float64(s.Transactions)/float64(max(s.Commits, 1)), "tx/commit")
			b.ReportMetric(float64(s.Size)/float64(max(s.Transactions, 1)), "file-B/tx")
			db.Close()
		})
		return func(key string) error {
			return db.Update(context.Background(), func(tx storage.Tx) error { return tx.Put("t", key, value) })
		}
	})
}

// BenchmarkBboltUpdate does the same by plain bbolt, as a reference.
func BenchmarkBboltUpdate(b *testing.B) {
	writers(b, func(b *testing.B, dir string) func(key string) error {
		db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, &bbolt.Options{
			NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 28, NoStatistics: true,
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		return func(key string) error {
			return db.Update(func(tx *bbolt.Tx) error {
				t, err := tx.CreateBucketIfNotExists([]byte("t"))
				if err != nil {
					return err
				}
				t.FillPercent = 0.9
				return t.Put([]byte(key), value)
			})
		}
	})
}

// BenchmarkFsync writes and syncs a page twice, which is the least a commit of
// bbolt does: the data, then the page that makes it valid.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for b.Loop() {
		for i := range int64(2) {
			if _, err := f.WriteAt(page, i*4096); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// writers runs b.N updates by 1, 8 and 64 goroutines, and reports the mean time
// that one of them waits.
func writers(b *testing.B, open func(b *testing.B, dir string) func(key string) error) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			update := open(b, b.TempDir())
			var next, waited atomic.Int64
			var all sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range n {
				all.Go(func() {
					for {
						i := next.Add(1)
						if i > int64(b.N) {
							return
						}
						began := time.Now()
						if err := update(fmt.Sprintf("%016d", i)); err != nil {
							b.Error(err)
							return
						}
						waited.Add(int64(time.Since(began)))
					}
				})
			}
			all.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
			b.ReportMetric(float64(waited.Load())/float64(b.N)/1e6, "ms/wait")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.Update(context.Background(), func(tx storage.Tx) error {
		for i := range 100000 {
			if err := tx.Put("t", fmt.Sprintf("%016d", i), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % 100000
		key := fmt.Sprintf("%016d", i)
		err := db.View(context.Background(), func(tx storage.Tx) error { _, err := tx.Get("t", key); return err })
		if err != nil {
			b.Fatal(err)
		}
	}
}
