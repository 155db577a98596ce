package audit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// cutInDir says to the test binary that it is the process that is killed.
const cutInDir = "BREVET_TEST_CUT_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(cutInDir); dir != "" {
		fmt.Fprintln(os.Stderr, appendAndCut(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendAndCut appends events, says how many there are after each commit, and cuts the log
// all the time.
func appendAndCut(dir string) error {
	db, err := bolt.Open(filepath.Join(dir, "brevet.db"), bolt.Options{})
	if err != nil {
		return err
	}
	s, err := testSigner("the log's")
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() {
		for {
			if _, err := (&audit.Cutter{Log: audit.Log{DB: db, Segments: audit.Dir(dir)}}).Cut(context.Background(), 20_000, s); err != nil {
				failed <- err
				return
			}
		}
	}()
	go func() {
		for {
			var size int64
			err := db.Update(context.Background(), func(tx storage.Tx) (err error) {
				if size, err = audit.Size(tx); err != nil {
					return err
				}
				for range 10 {
					if _, err := audit.Append(tx, event(int(size))); err != nil {
						return err
					}
					size++
				}
				return nil
			})
			if err != nil {
				failed <- err
				return
			}
			fmt.Println(size)
		}
	}()
	return <-failed
}

// TestKilledCutLosesNothing kills a process with SIGKILL that appends events and cuts the
// log. Each event that it said was committed is there.
func TestKilledCutLosesNothing(t *testing.T) {
	rounds := 15
	if os.Getenv("BREVET_LONG") != "" {
		rounds = 300
	}
	dir, s := t.TempDir(), newSigner(t, "the log's")
	for range rounds {
		acknowledged := killSoon(t, dir)
		db, err := bolt.Open(filepath.Join(dir, "brevet.db"), bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := audit.Log{DB: db, Segments: audit.Dir(dir)}
		r, err := l.Verify(t.Context(), nil)
		if err != nil || r.Size < acknowledged || r.Missing != nil {
			t.Fatalf("%d events were committed: %+v, %v", acknowledged, r, err)
		}
		if all := readAll(t, l, 0); int64(len(all)) != r.Size {
			t.Fatalf("%d events of %d are read", len(all), r.Size)
		}
		view(t, db, func(tx storage.Tx) error { return audit.CheckSaved(tx, s) })
		if err := errors.Join(l.Segments.Sweep(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	db, err := bolt.Open(filepath.Join(dir, "brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list := cutAll(t, audit.Log{DB: db, Segments: audit.Dir(dir)}, 20_000, s)
	files, err := filepath.Glob(filepath.Join(dir, "audit-*.gz"))
	if err != nil || len(files) != len(list) || len(list) < rounds {
		t.Errorf("%d files of %d segments, %v", len(files), len(list), err)
	}
}

// killSoon starts the process, kills it after a while, and returns how many events it said
// there are.
func killSoon(t *testing.T, dir string) (size int64) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), cutInDir+"="+dir), os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if size == 0 { // it runs
			time.AfterFunc(50*time.Millisecond+rand.N(100*time.Millisecond), func() { c.Process.Kill() })
		}
		if size, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() > 0 {
		t.Fatalf("the process ended by itself: %v", err)
	}
	return size
}
