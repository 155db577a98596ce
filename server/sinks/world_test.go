package sinks

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

var testFrom = From{TrustDomain: "example.internal", Host: func() string { return "brevet.example.internal" }, Version: "test"}

func TestMain(m *testing.M) {
	saveEvery, firstRetry, settleTime = 50*time.Millisecond, 50*time.Millisecond, 300*time.Millisecond
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

func openStore(t testing.TB, dir string) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// add appends n events.
func add(ctx context.Context, db storage.DB, n int) error {
	return db.Update(ctx, func(tx storage.Tx) error {
		for range n {
			size, err := audit.Size(tx)
			if err != nil {
				return err
			}
			_, err = audit.Append(tx, audit.Event{
				Time: time.Unix(1763899200+size, 0), Actor: "spiffe://example.internal/agent/bot", Action: audit.TokenMint, Subject: "bot", Decision: audit.Allow,
				Reasons: []string{"a line\nand | = \\ another"}, Credential: fmt.Sprintf("%032x", size),
				Details: &audit.Details{Peer: "192.0.2.7", Scopes: []string{"a:b"}, Audiences: []string{"https://api.example"}, NotAfter: time.Unix(1763899500, 0)},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// A running set of one sink, and its log.
type running struct {
	t    testing.TB
	db   storage.DB
	set  *Set
	stop func()
}

func start(t testing.TB, db storage.DB, c Config) *running {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	set, err := New([]Config{c}, testFrom, audit.Log{DB: db}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { set.Run(ctx); close(done) }()
	r := &running{t: t, db: db, set: set, stop: sync.OnceFunc(func() { cancel(); <-done })}
	t.Cleanup(r.stop)
	return r
}

func (r *running) add(n int) {
	r.t.Helper()
	if err := add(r.t.Context(), r.db, n); err != nil {
		r.t.Fatal(err)
	}
}

// status returns the status of the sink.
func (r *running) status() Status {
	r.t.Helper()
	all, err := r.set.Status(context.Background())
	if err != nil || len(all) != 1 {
		r.t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}

// caughtUp waits until all events have arrived.
func (r *running) caughtUp() {
	r.t.Helper()
	until(r.t, func() bool { return r.status().Behind == 0 })
}

func until(t testing.TB, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it takes too long")
		}
	}
}

// A received is what a receiver has got, by position.
type received struct {
	mu   sync.Mutex
	seqs []int64
	all  map[int64]string
	cef  bool // instead of JSON
}

var externalID = regexp.MustCompile(` externalId=(\d+) `)

// take takes an event.
func (r *received) take(text []byte) error {
	var e struct{ Seq int64 }
	if found := externalID.FindSubmatch(text); r.cef && found != nil {
		e.Seq, _ = strconv.ParseInt(string(found[1]), 10, 64)
	} else if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[int64]string{}
	}
	r.seqs, r.all[e.Seq] = append(r.seqs, e.Seq), string(text)
	return nil
}

func (r *received) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// check fails unless everything in the log was received. Events may come again, but none is
// left out on the way.
func (r *received) check(t testing.TB, db storage.DB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	high := int64(-1)
	for _, seq := range r.seqs {
		if seq > high+1 {
			t.Errorf("event %d came after event %d", seq, high)
		}
		high = max(high, seq)
	}
	err := db.View(t.Context(), func(tx storage.Tx) error {
		for e, err := range audit.Since(tx, 0) {
			if err != nil {
				return err
			}
			want := string(e.JSON())
			if r.cef {
				want = string(Config{Format: CEF}.encoder(testFrom)(nil, &e))
			}
			if r.all[e.Seq] != want {
				t.Fatalf("event %d was received as %q", e.Seq, r.all[e.Seq])
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// certificate returns a server with a certificate for 127.0.0.1, and a file that vouches for it.
func certificate(t testing.TB, h http.Handler) (*httptest.Server, string) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, file
}

// privateKey writes the key of a server into a file.
func privateKey(t testing.TB, s *httptest.Server) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
