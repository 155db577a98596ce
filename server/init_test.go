package server_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// initConfig is a good one for a new directory.
func initConfig(t *testing.T) server.InitConfig {
	t.Helper()
	return server.InitConfig{
		Dir: filepath.Join(t.TempDir(), "authority"), TrustDomain: "example.internal", NoPassphrase: true,
		RootLifetime: 10 * 365 * 24 * time.Hour, IssuerLifetime: 90 * 24 * time.Hour, Actor: "test",
	}
}

// filesIn lists a directory, which need not be there.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestInitRefusesBadFlags before it makes anything.
func TestInitRefusesBadFlags(t *testing.T) {
	open := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(open, []byte("correct horse\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change  func(*server.InitConfig)
		because string
	}{
		"no trust domain":                {func(c *server.InitConfig) { c.TrustDomain = "" }, "--trust-domain"},
		"a bad trust domain":             {func(c *server.InitConfig) { c.TrustDomain = "Example" }, "--trust-domain: invalid trust domain"},
		"an unknown algorithm":           {func(c *server.InitConfig) { c.Algorithm = "rsa" }, "want ecdsa-p256, ecdsa-p384 or ed25519"},
		"http":                           {func(c *server.InitConfig) { c.Advertise = "http://ca.example" }, "advertise"},
		"another agent's name":           {func(c *server.InitConfig) { c.Advertise = "https://pki.example.internal" }, "brevet.example.internal"},
		"everywhere, not said where":     {func(c *server.InitConfig) { c.Listen = "0.0.0.0:8443" }, "under which others reach this server"},
		"any address, not said which":    {func(c *server.InitConfig) { c.Listen = ":8443" }, "under which others reach this server"},
		"no port":                        {func(c *server.InitConfig) { c.Listen, c.Advertise = "localhost", "https://ca.example" }, "want HOST:PORT"},
		"no port for HTTP":               {func(c *server.InitConfig) { c.ListenHTTP = "localhost" }, "want HOST:PORT"},
		"a long name":                    {func(c *server.InitConfig) { c.Name = strings.Repeat("x", 45) }, "--name"},
		"a name of two lines":            {func(c *server.InitConfig) { c.Name = "a\nb" }, "--name"},
		"a root of hours":                {func(c *server.InitConfig) { c.RootLifetime = 23 * time.Hour }, "lifetimes"},
		"an issuer of hours":             {func(c *server.InitConfig) { c.IssuerLifetime = 23 * time.Hour }, "lifetimes"},
		"an issuer beyond its root":      {func(c *server.InitConfig) { c.IssuerLifetime = c.RootLifetime + 1 }, "lifetimes"},
		"a root for ever":                {func(c *server.InitConfig) { c.RootLifetime = 60 * 366 * 24 * time.Hour }, "lifetimes"},
		"no passphrase":                  {func(c *server.InitConfig) { c.NoPassphrase = false }, "--passphrase-file"},
		"both":                           {func(c *server.InitConfig) { c.PassphraseFile = open }, "exclude each other"},
		"a passphrase that is not there": {func(c *server.InitConfig) { c.NoPassphrase, c.PassphraseFile = false, "/nowhere" }, "/nowhere"},
		"a passphrase that all can read": {func(c *server.InitConfig) { c.NoPassphrase, c.PassphraseFile = false, open }, "chmod 600"},
	} {
		config := initConfig(t)
		c.change(&config)
		made, err := server.Init(t.Context(), config, time.Now())
		if err == nil || made != nil || !strings.Contains(err.Error(), c.because) || strings.Contains(err.Error(), "1:1") {
			t.Errorf("%s: got %v, %v, want an error that says %q", what, made, err, c.because)
		}
		if left := filesIn(t, config.Dir); left != nil {
			t.Errorf("%s: left are %v", what, left)
		}
	}
}

// TestInitNeedsLittle: a directory, a trust domain and what to do about a passphrase.
func TestInitNeedsLittle(t *testing.T) {
	dir := t.TempDir()
	made, err := server.Init(t.Context(), server.InitConfig{Dir: dir, TrustDomain: "example.internal", NoPassphrase: true}, time.Time{})
	if err != nil || made.Advertise != "https://127.0.0.1:8443" {
		t.Fatalf("%+v, %v", made, err)
	}
	s, _, _ := embed(t, server.Config{Dir: dir})
	for what, want := range map[string]time.Duration{"roots.pem": 87600 * time.Hour, "chain.pem": 2160 * time.Hour} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "https://authority/"+what, nil))
		block, _ := pem.Decode(w.Body.Bytes())
		if block == nil {
			t.Fatalf("%s is %q", what, w.Body)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if got := cert.NotAfter.Sub(cert.NotBefore).Round(time.Hour); got != want+time.Hour {
			t.Errorf("%s is valid for %s, want %s after the hour before it was made", what, got, want)
		}
	}
}

// TestFailedInitLeavesNothing half: what it made goes, what was there stays, and the
// next try works.
func TestFailedInitLeavesNothing(t *testing.T) {
	for _, before := range [][]string{nil, {"README"}} {
		config := initConfig(t)
		for _, name := range before {
			if err := errors.Join(os.MkdirAll(config.Dir, 0o700), os.WriteFile(filepath.Join(config.Dir, name), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if made, err := server.Init(gone, config, time.Now()); err == nil || made != nil {
			t.Fatalf("%v %v", made, err)
		}
		if left := filesIn(t, config.Dir); !slices.Equal(left, before) {
			t.Errorf("left are %v, want %v", left, before)
		}
		if before == nil {
			if _, err := os.Stat(config.Dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory is left: %v", err)
			}
		}
		if _, err := server.Init(t.Context(), config, time.Now()); err != nil {
			t.Error(err)
		}
	}
}

// TestInitLeavesWhatIsThere: an authority, or a part of one, is not touched.
func TestInitLeavesWhatIsThere(t *testing.T) {
	config := initConfig(t)
	if _, err := server.Init(t.Context(), config, time.Now()); err != nil {
		t.Fatal(err)
	}
	whole := filesIn(t, config.Dir)
	read := func() (all []string) {
		for _, name := range filesIn(t, config.Dir) {
			text, err := os.ReadFile(filepath.Join(config.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, name, string(text))
		}
		return all
	}
	refuses := func(because string) {
		t.Helper()
		before := read()
		if _, err := server.Init(t.Context(), config, time.Now()); err == nil || !strings.Contains(err.Error(), because) {
			t.Errorf("got %v, want an error that says %q", err, because)
		}
		if !slices.Equal(before, read()) {
			t.Errorf("it changed what was there")
		}
	}
	for _, name := range whole {
		info, err := os.Stat(filepath.Join(config.Dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s, %v", name, info.Mode(), err)
		}
	}
	if len(whole) != 6 { // the store, brevet.yaml, four keys
		t.Errorf("made are %v", whole)
	}
	refuses("holds an authority already")
	if err := os.Remove(filepath.Join(config.Dir, "brevet.yaml")); err != nil {
		t.Fatal(err)
	}
	refuses("holds part of an authority")
	if err := os.Remove(filepath.Join(config.Dir, "brevet.db")); err != nil {
		t.Fatal(err)
	}
	refuses("holds part of an authority")

	if err := os.Chmod(filepath.Dir(config.Dir), 0o700); err != nil {
		t.Fatal(err)
	}
	config.Dir = filepath.Join(config.Dir, "brevet.txt", "below a file")
	if err := os.WriteFile(filepath.Dir(config.Dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Init(t.Context(), config, time.Now()); err == nil {
		t.Error("an authority was made below a file")
	}
}

// TestLongTrustDomainMakesAnAuthority, although a common name has at most 64
// characters.
func TestLongTrustDomainMakesAnAuthority(t *testing.T) {
	config := initConfig(t)
	config.TrustDomain = strings.Repeat("long-", 12) + "d.example.internal"
	config.Algorithm = "ed25519"
	if _, err := server.Init(t.Context(), config, time.Now()); err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Dir: config.Dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestServeSaysWhatIsMissing of an authority that cannot start.
func TestServeSaysWhatIsMissing(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	empty := t.TempDir()
	start := func(dir, because string) {
		t.Helper()
		s, err := server.New(server.Config{Dir: dir})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), because) {
			t.Errorf("got %v, want an error that says %q", err, because)
		}
	}
	start(empty, "there is no authority in "+empty)
	config := initConfig(t)
	if _, err := server.Init(t.Context(), config, time.Now()); err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Dir: config.Dir})
	if err != nil {
		t.Fatal(err)
	}
	start(config.Dir, "brevet.db")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(config.Dir, "tokens-*.key"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v, %v", keys, err)
	}
	if err := os.Remove(keys[0]); err != nil {
		t.Fatal(err)
	}
	start(config.Dir, "the tokens key has no file")
	if err := os.WriteFile(filepath.Join(config.Dir, "brevet.yaml"), []byte("trust_domain: x\nlisten: y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(config.Dir, filepath.Join(config.Dir, "brevet.yaml")+":2:1: address")
}

// TestServeGivesUpAnAddressThatIsTaken, and the store with it.
func TestServeGivesUpAnAddressThatIsTaken(t *testing.T) {
	w := servertest.New(t)
	config := initConfig(t)
	config.Listen, config.ListenHTTP = strings.TrimPrefix(w.URL, "https://"), servertest.FreeAddress(t)
	if _, err := server.Init(t.Context(), config, time.Now()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := server.New(server.Config{Dir: config.Dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "listening on "+config.Listen) {
			t.Errorf("got %v", err)
		}
	}
}

// TestAdvertisedAsLocalhost, listening everywhere.
func TestAdvertisedAsLocalhost(t *testing.T) {
	w := servertest.New(t, func(c *server.InitConfig) {
		_, port, _ := strings.Cut(c.Listen, ":")
		c.Listen, c.Advertise = ":"+port, "https://localhost:"+port
	})
	w.Get(w.Client(), "/healthz")
}

// TestInitsAtOnce: one of them makes the authority, and the others leave it alone.
func TestInitsAtOnce(t *testing.T) {
	config := initConfig(t)
	made := make(chan *server.NewAuthority, 8)
	var wait sync.WaitGroup
	for range cap(made) {
		wait.Go(func() {
			if m, err := server.Init(t.Context(), config, time.Now()); err == nil {
				made <- m
			}
		})
	}
	wait.Wait()
	if len(made) != 1 {
		t.Fatalf("%d authorities were made", len(made))
	}
	s, _, _ := embed(t, server.Config{Dir: config.Dir})
	w := asked(s.Handler(), "GET", "https://authority/roots.pem", nil)
	block, _ := pem.Decode(w.Body.Bytes())
	if block == nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if sum := sha256.Sum256(block.Bytes); hex.EncodeToString(sum[:]) != (<-made).RootFingerprint {
		t.Error("the root is another than the one that was made")
	}
}
