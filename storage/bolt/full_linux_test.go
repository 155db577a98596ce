package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

func init() { children["full"], children["narrow"] = fillUp, openNarrow }

// TestCommitFailureLeavesStoreUsable lets a child run into the limit of a
// file's size, which the system enforces on root too.
func TestCommitFailureLeavesStoreUsable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "brevet.db")
	lines, kill := start(t, "full", path)
	defer kill()
	var last string
	for lines.Scan() {
		last = lines.Text()
	}
	if last != "done" {
		t.Fatalf("the child said %q", last)
	}
	if err := bolt.Verify(path); err != nil {
		t.Error(err)
	}
}

func fillUp(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := db.Update(ctx, put("t", "k", []byte("kept"))); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	full := limit
	full.Cur = uint64(db.Stats().Size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}

	big := make([]byte, 4<<20)
	for round := range 2 {
		// A group that cannot be committed, because one of its members wants
		// more than fits.
		errs := make([]error, 8)
		var all sync.WaitGroup
		running, release := make(chan bool), make(chan bool)
		all.Go(func() {
			errs[0] = db.Update(ctx, func(tx storage.Tx) error {
				close(running)
				<-release
				for i := range 8 {
					if err := tx.Put("big", fmt.Sprint(i), big); err != nil {
						return err
					}
				}
				return nil
			})
		})
		<-running
		for i := 1; i < len(errs); i++ {
			all.Go(func() { errs[i] = db.Update(ctx, put("t", fmt.Sprint(i), nil)) })
		}
		close(release)
		all.Wait()
		if errs[0] == nil || !strings.HasPrefix(errs[0].Error(), "committing: ") {
			return fmt.Errorf("round %d: a commit that does not fit: %v", round, errs[0])
		}
		want := []string{"k"}
		for i, err := range errs {
			if err == nil { // it was in the next group
				want = append(want, fmt.Sprint(i))
			}
		}
		if err := onlyHolds(db, len(want)); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if err := db.Update(ctx, func(tx storage.Tx) error {
			for _, key := range want[1:] {
				if err := tx.Delete("t", key); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("round %d: a small commit after one that failed: %w", round, err)
		}
	}

	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := db.Update(ctx, put("big", "k", big)); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	if err := db.Update(ctx, put("big", "l", make([]byte, 32<<20))); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	if err := errors.Join(db.Check(ctx), db.Close()); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "done")
	return nil
}

// onlyHolds fails unless the table t holds n records and big none.
func onlyHolds(db *bolt.DB, n int) error {
	return db.View(context.Background(), func(tx storage.Tx) error {
		got := 0
		for range tx.Scan("t", "") {
			got++
		}
		for range tx.Scan("big", "") {
			return errors.New("a failed commit left something")
		}
		if got != n {
			return fmt.Errorf("%d records, want %d", got, n)
		}
		return nil
	})
}

// TestNarrowAddressSpace opens a store in a process whose address space is limited.
func TestNarrowAddressSpace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "brevet.db")
	for range 2 { // a new file, and then an old one
		lines, kill := start(t, "narrow", path)
		if lines.Scan(); lines.Text() != "done" {
			t.Errorf("the child said %q", lines.Text())
		}
		kill()
	}
}

func openNarrow(path string) error {
	pages, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var used uint64
	if _, err := fmt.Sscan(string(pages), &used); err != nil {
		return err
	}
	limit := used*uint64(os.Getpagesize()) + 4<<30
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(context.Background(), put("t", "k", nil)), db.Close()); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "done")
	return nil
}
