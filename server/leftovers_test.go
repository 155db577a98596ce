package server_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
)

// TestLeftoversOfACrash: whoever holds the lock of the store removes what crashes left
// of files that only it writes. The files that others may be writing stay.
func TestLeftoversOfACrash(t *testing.T) {
	left := []string{".brevet.yaml.17", ".brevet.db.restoring.5", ".root-0123456789abcdef.key.77", ".tokens-pq-0123456789abcdef.key.1"}
	others := []string{
		".brevet.db.9", ".brevet.yaml.swp", ".brevet.yaml.", ".backup.db.3", ".agent.key.12", ".key.pem.5",
		".root-0123456789abcde.key.7", ".-0123456789abcdef.key.7", "root-0123456789abcdef.key.7",
	}
	config := initConfig(t)
	plant := func() {
		t.Helper()
		for _, name := range slices.Concat(left, others) {
			if err := os.WriteFile(filepath.Join(config.Dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(when string, swept bool) {
		t.Helper()
		there := filesIn(t, config.Dir)
		for _, name := range others {
			if !slices.Contains(there, name) {
				t.Errorf("%s: %s of another is gone", when, name)
			}
		}
		for _, name := range left {
			if slices.Contains(there, name) == swept {
				t.Errorf("%s: %s is there: %v", when, name, !swept)
			}
		}
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	plant()
	if _, err := server.Init(t.Context(), config, time.Now()); err != nil {
		t.Fatal(err)
	}
	check("init", true)

	s := newEmbedded(t, server.Config{Dir: config.Dir})
	plant()
	if _, err := server.New(server.Config{Dir: config.Dir, Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Fatal("two servers have the store")
	}
	file := filepath.Join(config.Dir, "brevet.db")
	if _, err := server.Restore(t.Context(), server.RestoreConfig{Dir: config.Dir, File: copied(t, file), Actor: ""}, time.Now()); err == nil {
		t.Fatal("restored under a server")
	}
	check("while a server has the store", false)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	plant()
	if err := newEmbedded(t, server.Config{Dir: config.Dir}).Close(); err != nil {
		t.Fatal(err)
	}
	check("start", true)

	plant()
	if _, err := server.Restore(t.Context(), server.RestoreConfig{Dir: config.Dir, File: copied(t, file), Actor: ""}, time.Now()); err != nil {
		t.Fatal(err)
	}
	check("restore", true)
}

// copied copies a store that nobody writes to.
func copied(t *testing.T, store string) string {
	t.Helper()
	text, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
