// Package servertest starts whole authorities on loopback for tests: the real
// server on real sockets with a real store, in a directory of the test's own.
package servertest

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// TrustDomain is that of every authority made here.
const TrustDomain = "example.internal"

// A World is a running authority.
type World struct {
	Dir         string
	URL         string // of HTTPS
	HTTP        string // URL of plain HTTP
	Fingerprint string // of the root that HTTPS rests on
	Root        string // fingerprint of the root above the agents' issuer; often the same
	Issuer      string
	Admin       *api.Client
	Roots       *x509.CertPool
	Clock       *Clock
	Log         *Log

	earlier bool // an earlier version made it

	t    *testing.T
	stop func() error

	mu      sync.Mutex
	clients []*http.Transport
}

// New starts an authority that ends with the test. change, if given, may alter
// what init makes.
func New(t *testing.T, change ...func(*server.InitConfig)) *World {
	t.Helper()
	// Unix sockets have short paths, and the names of tests make long ones.
	dir, err := os.MkdirTemp("", "brevet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := server.InitConfig{
		Dir: dir, TrustDomain: TrustDomain, Listen: FreeAddress(t), ListenHTTP: FreeAddress(t), NoPassphrase: true,
		RootLifetime: 10 * 365 * 24 * time.Hour, IssuerLifetime: 90 * 24 * time.Hour, Actor: "test",
	}
	for _, f := range change {
		f(&c)
	}
	made, err := server.Init(t.Context(), c, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &World{
		Dir: dir, URL: made.Advertise, HTTP: "http://" + c.ListenHTTP, Fingerprint: cmp.Or(made.HTTPSRootFingerprint, made.RootFingerprint), Root: made.RootFingerprint, Issuer: made.Issuer,
		Admin: api.Dial(dir), Clock: new(Clock), Log: new(Log), t: t,
	}
	w.open()
	return w
}

// Open starts an authority that lies in dir already and listens at these
// addresses. The World does not know the identifiers of its root and issuer.
func Open(t *testing.T, dir, listen, listenHTTP string, clock *Clock) *World {
	t.Helper()
	w := &World{Dir: dir, URL: "https://" + listen, HTTP: "http://" + listenHTTP, Admin: api.Dial(dir), Clock: clock, Log: new(Log), t: t, earlier: true}
	w.open()
	return w
}

func (w *World) open() {
	w.t.Helper()
	w.Start()
	w.t.Cleanup(func() { w.Stop() })
	w.Roots = x509.NewCertPool()
	if !w.Roots.AppendCertsFromPEM([]byte(w.Get(w.insecure(), "/roots.pem"))) {
		w.t.Fatal("the authority serves no roots")
	}
}

// Start starts the server, again after Stop. change, if given, may alter how.
func (w *World) Start(change ...func(*server.Config)) {
	w.t.Helper()
	c := server.Config{
		Dir: w.Dir, Version: "test", Now: w.Clock.Now, Log: slog.New(slog.NewTextHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&c)
	}
	s, err := server.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		cancel()
		w.t.Fatal("the authority does not start: ", err)
	}
	w.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
}

// Stop stops the server and fails the test if it does not stop well. It does
// not wait, as HTTP/2 would for a second, for connections that nobody uses.
func (w *World) Stop() {
	w.t.Helper()
	w.mu.Lock()
	for _, tr := range w.clients {
		tr.CloseIdleConnections()
	}
	w.mu.Unlock()
	if err := w.stop(); err != nil {
		w.t.Error("the authority does not stop well: ", err)
	}
}

// Configure restarts the authority with more in its brevet.yaml.
func (w *World) Configure(more string) {
	w.t.Helper()
	w.Stop()
	f, err := os.OpenFile(w.File("brevet.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = f.WriteString(more)
	if err := errors.Join(err, f.Close()); err != nil {
		w.t.Fatal(err)
	}
	w.Start()
}

// ports are those from 10000 on, below the ones that kernels give to outgoing
// connections: nobody takes one by chance before it is listened on.
const ports = 20_000

// nextPort begins anywhere, so that tests that run at once keep apart.
var nextPort = func() *atomic.Int64 {
	n := new(atomic.Int64)
	n.Store(rand.Int64N(ports))
	return n
}()

// FreeAddress returns an address on loopback that nobody listens on.
func FreeAddress(t *testing.T) string {
	t.Helper()
	address, err := FindAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// FindAddress is FreeAddress for code that has no [testing.T].
func FindAddress() (string, error) {
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+nextPort.Add(1)%ports)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address, nil
		}
	}
	return "", errors.New("no port is free on loopback")
}

// Client returns an HTTPS client that trusts the authority's root, and
// presents the certificates given.
func (w *World) Client(certs ...tls.Certificate) *http.Client {
	c := &tls.Config{RootCAs: w.Roots, Certificates: certs, Time: w.Clock.Now}
	return w.client(c)
}

func (w *World) insecure() *http.Client { return w.client(&tls.Config{InsecureSkipVerify: true}) }

func (w *World) client(c *tls.Config) *http.Client {
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	w.t.Cleanup(tr.CloseIdleConnections)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clients = append(w.clients, tr)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// Get returns what the authority serves at path, which must be there.
func (w *World) Get(c *http.Client, path string) string {
	w.t.Helper()
	r, err := c.Get(w.URL + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %s %v %s", path, r.Status, err, body)
	}
	return string(body)
}

// Metrics returns the metrics, which operators can read.
func (w *World) Metrics() string {
	w.t.Helper()
	var text strings.Builder
	if err := w.Admin.Metrics(w.t.Context(), &text); err != nil {
		w.t.Fatal(err)
	}
	return text.String()
}

// File returns the path of a file in the authority's directory.
func (w *World) File(name string) string { return filepath.Join(w.Dir, name) }

// A Clock is the real one, plus what a test adds to it.
type Clock struct{ ahead atomic.Int64 }

// Now returns the time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance moves the clock, back if d is negative.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// A Log keeps what the server logs.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
