package disk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
)

// start tries to open the authority in dir and returns why that fails.
func start(dir string) error {
	s, err := server.New(server.Config{Dir: dir, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		s.Close()
	}
	return err
}

// stopped returns the directory of an authority that has worked and was
// stopped.
func stopped(t *testing.T) string {
	t.Helper()
	w := servertest.New(t)
	for _, name := range []string{"a", "b", "c"} {
		w.Add(name, agents.Change{})
	}
	w.Stop()
	return w.Dir
}

func TestDamagedStoreIsRefused(t *testing.T) {
	dir := stopped(t)
	path := filepath.Join(dir, "brevet.db")
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, content := range map[string][]byte{
		"torn":           sound[:20_000],
		"short":          sound[:100],
		"empty":          {},
		"text":           []byte("trust_domain: example.internal\n"),
		"zeros":          make([]byte, 1<<20),
		"half of a copy": append(bytes.Clone(sound[:16<<10]), make([]byte, len(sound)-16<<10)...),
	} {
		t.Run(what, func(t *testing.T) {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			servertest.WantLine(t, "start", start(dir), path, "damaged or not a brevet database", "brevet restore")
			if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, content) {
				t.Errorf("the file is not as it was: %v", err)
			}
		})
	}
	if err := os.WriteFile(path, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(dir); err != nil {
		t.Errorf("the sound file: %v", err)
	}
}

func TestForeignStoreIsRefused(t *testing.T) {
	dir := stopped(t)
	path := filepath.Join(dir, "brevet.db")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	servertest.ChangeStore(t, dir, func(tx storage.Tx) error { return tx.Put("buckets", "of", []byte("another program")) })
	servertest.WantLine(t, "start", start(dir), path, "is not the store of an authority", "brevet restore")
}

// position is the key of an entry of the log.
func position(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

func TestLogThatIsNotTheCheckpointsIsRefused(t *testing.T) {
	dir := stopped(t)
	path := filepath.Join(dir, "brevet.db")
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		tamper func(storage.Tx) error
		says   string
	}{
		"cut off": {func(tx storage.Tx) error {
			b, err := tx.Get("audit.size", "size")
			if err != nil {
				return err
			}
			last := binary.BigEndian.Uint64(b) - 1
			return errors.Join(tx.Delete("audit", position(last)), tx.Put("audit.size", "size", []byte(position(last))))
		}, "it was cut off"},
		"all gone": {func(tx storage.Tx) error { return errors.Join(tx.Drop("audit"), tx.Drop("audit.size")) }, "it was cut off"},
		"rewritten": {func(tx storage.Tx) error {
			b, err := tx.Get("audit", position(3)) // ends a subtree of 4
			if err != nil {
				return err
			}
			b = bytes.Clone(b)
			b[2*32] ^= 1
			return tx.Put("audit", position(3), b)
		}, "were rewritten"},
		"a foreign checkpoint": {func(tx storage.Tx) error {
			private, _, err := note.GenerateKey(nil, "example.internal/brevet-audit")
			if err != nil {
				return err
			}
			signer, err := note.NewSigner(private)
			if err != nil {
				return err
			}
			b, err := note.Sign(&note.Note{Text: "example.internal/brevet-audit\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"}, signer)
			return errors.Join(err, tx.Put("audit.checkpoint", "latest", b))
		}, "not signed by the key of this log"},
		"no checkpoint": {func(tx storage.Tx) error { return tx.Put("audit.checkpoint", "latest", []byte("none")) }, "checkpoint"},
	} {
		t.Run(what, func(t *testing.T) {
			if err := os.WriteFile(path, sound, 0o600); err != nil {
				t.Fatal(err)
			}
			servertest.ChangeStore(t, dir, test.tamper)
			servertest.WantLine(t, "start", start(dir), path, test.says, "brevet restore", "evidence")
		})
	}
}

func TestWrongPassphraseIsOneLine(t *testing.T) {
	dir := t.TempDir()
	right, wrong := filepath.Join(dir, "right"), filepath.Join(dir, "wrong")
	for path, text := range map[string]string{right: "open sesame, please\n", wrong: "open barley, please\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority := filepath.Join(dir, "authority")
	_, err := server.Init(t.Context(), server.InitConfig{
		Dir: authority, TrustDomain: servertest.TrustDomain, PassphraseFile: right,
		RootLifetime: 10 * 365 * 24 * time.Hour, IssuerLifetime: 90 * 24 * time.Hour, Actor: "test",
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	open := func(file string) error {
		s, err := server.New(server.Config{Dir: authority, PassphraseFile: file, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			s.Close()
		}
		return err
	}
	servertest.WantLine(t, "start", open(wrong), "cannot unseal "+authority, ".key", "wrong passphrase, or the file is damaged")
	if err := open(right); err != nil {
		t.Error(err)
	}
}
