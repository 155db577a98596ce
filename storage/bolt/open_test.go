package bolt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

func TestNewFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "brevet.db")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "brevet.db")
	lines, kill := start(t, "hold", path)
	if !lines.Scan() {
		t.Fatal("the child did not open the database")
	}
	want := "the database " + path + " is in use by another brevet process; talk to it over its admin socket or stop it first"
	if _, err := bolt.Open(path, bolt.Options{LockTimeout: 60 * time.Millisecond}); err == nil || err.Error() != want {
		t.Errorf("Open: %v, want %s", err, want)
	}
	if err := bolt.Verify(path); err == nil || err.Error() != want {
		t.Errorf("Verify: %v, want %s", err, want)
	}
	go func() { time.Sleep(100 * time.Millisecond); kill() }()
	open(t, path) // waits for a process on its way out
}

func TestOpenWithoutPermission(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "absent", "brevet.db")
	_, err := bolt.Open(path, bolt.Options{})
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "restore") {
		t.Errorf("Open in a directory that is not there: %v", err)
	}
	if err := bolt.Verify(filepath.Join(dir, "absent.db")); err == nil {
		t.Error("Verify of no file succeeded")
	}
	if _, err := os.Stat(filepath.Join(dir, "absent.db")); err == nil {
		t.Error("Verify made a file")
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	sample, err := os.ReadFile(makeSample(t))
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(sample, "\x00"))
	change := func(fn func(b []byte)) []byte {
		b := bytes.Clone(sample)
		fn(b)
		return b
	}
	roots := rootPages(t, sample)
	pointer := func(table string) []byte { return binary.NativeEndian.AppendUint64([]byte(table), roots[table]) }
	for _, c := range []struct {
		name string
		file []byte
		why  string
	}{
		{"empty", nil, "the file is empty"},
		{"short", []byte("hello"), "invalid database"},
		{"foreign", []byte(strings.Repeat("SQLite format 3\x00", 4096)), "invalid database"},
		{"zeros", make([]byte, 1<<16), "invalid database"},
		{"truncated", sample[:used/2], "the file ends at byte"},
		{"truncated to 2", sample[:2*4096], "the file ends at byte"},
		{"truncated to meta", sample[:4096+100], "file size too small"},
		{"no meta", change(func(b []byte) { clear(b[:2*4096]) }), "invalid database"},
		{"torn", change(func(b []byte) { clear(b[used/4 : used]) }), "page "},
		{"noise", change(func(b []byte) { rand.NewChaCha8([32]byte{}).Read(b[2*4096:]) }), "page "},
		{"shared page", bytes.ReplaceAll(sample, pointer("big"), append([]byte("big"), pointer("many")[4:]...)), "used twice"},
		// The key by which the root refers to its first child, which is in order.
		{"wrong key", change(func(b []byte) { b[roots[""]*4096+17] ^= 3 }), "out of order"},
	} {
		path := filepath.Join(t.TempDir(), "brevet.db")
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 { // what was refused is not left open
			wantDamaged(t, c.name, path, c.why)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, c.file) {
			t.Errorf("%s: Open changed the file (%v)", c.name, err)
		}
	}
}

func wantDamaged(t *testing.T, name, path, why string) {
	t.Helper()
	db, err := bolt.Open(path, bolt.Options{})
	if err == nil {
		t.Errorf("%s: Open succeeded", name)
		db.Close()
		return
	}
	msg := err.Error()
	if !errors.Is(err, bolt.ErrDamaged) || !strings.HasPrefix(msg, path+" is damaged or not a brevet database: ") || !strings.Contains(msg, why) ||
		!strings.HasSuffix(msg, "; restore a backup with `brevet restore`") || strings.Contains(msg, "\n") {
		t.Errorf("%s: Open: %v", name, err)
	}
	if err := bolt.Verify(path); err == nil || !strings.HasPrefix(err.Error(), path+" is damaged") {
		t.Errorf("%s: Verify: %v", name, err)
	}
}

// rootPages returns the root pages of the sample's tables, and of the tree of
// tables as "".
func rootPages(t *testing.T, sample []byte) map[string]uint64 {
	path := filepath.Join(t.TempDir(), "brevet.db")
	if err := os.WriteFile(path, sample, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	roots := map[string]uint64{}
	err = b.View(func(tx *bbolt.Tx) error {
		roots[""] = uint64(tx.Cursor().Bucket().Root())
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			roots[string(name)] = uint64(b.Root())
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// TestPanicOnOpening spoils the list of free pages, which only a database that
// was never written has, and whose content is for bbolt to judge.
func TestPanicOnOpening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "brevet.db")
	open(t, path).Close()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file[2*4096+8] = 0x77
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, bolt.Options{})
	if err == nil {
		db.Close()
	}
	if err == nil || !strings.HasPrefix(err.Error(), path+" is damaged") || !strings.Contains(err.Error(), "brevet restore") {
		t.Errorf("Open: %v", err)
	}
}

// TestEveryPageIsLookedAt spoils one page after the other. If Verify accepts
// a file, bbolt must be able to read it, since it would bring the process down
// otherwise.
func TestEveryPageIsLookedAt(t *testing.T) {
	sample, err := os.ReadFile(makeSample(t))
	if err != nil {
		t.Fatal(err)
	}
	sample = sample[:(len(bytes.TrimRight(sample, "\x00"))+4095)/4096*4096]
	path := filepath.Join(t.TempDir(), "brevet.db")
	refused := 0
	for page := 2; page < len(sample)/4096; page++ {
		b := bytes.Clone(sample)
		copy(b[page*4096:], bytes.Repeat([]byte{0xA5}, 16)) // its header
		if useDamaged(t, path, b) != nil {
			refused++
		}
	}
	// The sample takes more than 30 pages; others are free, and any content
	// will do there.
	if refused < 30 {
		t.Errorf("%d of %d pages were refused when spoilt", refused, len(sample)/4096)
	}
}

// FuzzVerify changes bytes of a database.
func FuzzVerify(f *testing.F) {
	sample, err := os.ReadFile(makeSample(f))
	if err != nil {
		f.Fatal(err)
	}
	sample = sample[:(len(bytes.TrimRight(sample, "\x00"))+4095)/4096*4096]
	path := filepath.Join(f.TempDir(), "brevet.db")
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		// Headers and elements, rather than values, are where damage tells.
		f.Add(random.Uint32(), uint8(random.IntN(80)), random.Uint32()>>random.IntN(32))
	}
	f.Fuzz(func(t *testing.T, page uint32, at uint8, change uint32) {
		b := bytes.Clone(sample)
		n := uint32(len(b)/4096 - 2)
		place := b[(2+page%n)*4096+uint32(at):]
		for i := range 4 {
			place[i] ^= byte(change >> (8 * i))
		}
		useDamaged(t, path, b)
	})
}

// useDamaged writes file to path and returns what Verify says of it. If that
// is nothing, it reads and writes the whole database.
func useDamaged(t *testing.T, path string, file []byte) error {
	t.Helper()
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	damage := bolt.Verify(path)
	db, err := bolt.Open(path, bolt.Options{})
	if (damage == nil) != (err == nil) {
		t.Fatalf("Verify: %v, but Open: %v", damage, err)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	for _, run := range []func(context.Context, func(storage.Tx) error) error{db.View, db.Update} {
		err := run(context.Background(), func(tx storage.Tx) error {
			for _, table := range []string{"many", "big", "small/07"} {
				for k := range tx.Scan(table, "") {
					if _, err := tx.Get(table, k); err != nil {
						t.Errorf("%q of table %q is scanned, but Get: %v", k, table, err)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	update(t, db, func(tx storage.Tx) error {
		for _, table := range []string{"many", "big", "small/07"} {
			if err := tx.Drop(table); err != nil {
				return err
			}
		}
		return tx.Put("new", "k", nil)
	})
	if err := db.Check(context.Background()); err != nil {
		t.Error(err)
	}
	return nil
}

// TestOpenMakesNothingUnasked: a file that must exist is not made, and no file is made where
// a link leads.
func TestOpenMakesNothingUnasked(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, "db"), filepath.Join(dir, "target")
	if _, err := bolt.Open(path, bolt.Options{MustExist: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(path, bolt.Options{}); err == nil {
		t.Error("a file was made where a link leads")
	}
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where the link leads: %v", err)
	}
}
