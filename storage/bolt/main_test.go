package bolt_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/storagetest"
)

// children are what the test binary does when a test runs it as another
// process.
var children = map[string]func(path string) error{
	"hold":  hold,
	"write": writeForEver,
}

func TestMain(m *testing.M) {
	if child := children[os.Getenv("BOLT_TEST_CHILD")]; child != nil {
		if err := child(os.Getenv("BOLT_TEST_PATH")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// start runs a child on the database at path and returns what it prints, line
// by line, and what ends it.
func start(t *testing.T, child, path string) (lines *bufio.Scanner, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BOLT_TEST_CHILD="+child, "BOLT_TEST_PATH="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	return bufio.NewScanner(out), kill
}

// hold keeps the database open until it is killed.
func hold(path string) error {
	if _, err := bolt.Open(path, bolt.Options{}); err != nil {
		return err
	}
	fmt.Println("open")
	time.Sleep(time.Minute)
	return nil
}

// A checked database checks its file when it is closed.
type checked struct {
	*bolt.DB
	path string
}

func (c checked) Close() error {
	damage := c.Check(context.Background())
	if err := c.DB.Close(); err != nil { // twice, maybe
		return err
	}
	if damage != nil {
		return damage
	}
	return bolt.Verify(c.path)
}

// A place is the path of a database file.
type place string

func (p place) Open() (storage.DB, error) {
	db, err := bolt.Open(string(p), bolt.Options{})
	return checked{db, string(p)}, err
}

func (p place) Restore(backup []byte) error { return os.WriteFile(string(p), backup, 0o600) }

func (p place) Stall(db storage.DB) (waiting <-chan struct{}, release func()) {
	w, end := make(chan struct{}, 1), make(chan struct{})
	err := db.(checked).Delay(context.Background(), func() {
		select {
		case w <- struct{}{}:
		default: // nobody looks at later ones
		}
		<-end
	})
	if err != nil {
		panic(err)
	}
	return w, func() { close(end) }
}

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t testing.TB) storagetest.Place { return place(filepath.Join(t.TempDir(), "store")) })
}

// open opens a database that is closed after the test.
func open(t testing.TB, path string) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func put(table, key string, value []byte) func(storage.Tx) error {
	return func(tx storage.Tx) error { return tx.Put(table, key, value) }
}

func update(t testing.TB, db storage.DB, fn func(storage.Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// makeSample writes a database with inline, small and large tables and
// returns its path.
func makeSample(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "brevet.db")
	db := open(t, path)
	for round := range 3 { // several, so that there are free pages too
		update(t, db, func(tx storage.Tx) error {
			for i := range 400 {
				if err := tx.Put("many", fmt.Sprintf("%04d", i), []byte(strings.Repeat("v", 200+round))); err != nil {
					return err
				}
			}
			for i := range 60 {
				if err := tx.Put(fmt.Sprintf("small/%02d", i), "k", []byte("v")); err != nil {
					return err
				}
			}
			return tx.Put("big", "k", make([]byte, 10000))
		})
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
