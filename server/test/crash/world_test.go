package crash_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A crashWorld is an authority whose process is killed again and again, and
// what is known about it from its answers.
type crashWorld struct {
	t           *testing.T
	dir         string
	url, http   string
	roots       *x509.CertPool
	process     *servertest.Process
	admin       *api.Client // of this life of the server
	api         *crashAgent // a resource server, which nobody revokes
	round       int
	clean, late []time.Duration // how long starts took after SIGTERM, and after SIGKILL
	store       storeChecks
	failures    atomic.Int64

	mu          sync.Mutex
	random      *mathrand.Rand // for whoever holds mu
	agents      []*crashAgent
	idle        []*crashAgent          // those that no client uses
	credentials []*credential          // all that were ever received
	dead        []*credential          // those that may not be used, in the order of their end
	spent       []string               // enrollment tokens that were used
	open        []invitation           // those whose use was not answered
	ended       []*crashAccount        // ACME accounts whose end was answered
	numbers     map[string]int64       // the greatest CRL number seen, by issuer
	checkpoints []string               // those seen since the whole log was verified last
	checkpoint  string                 // the last one seen
	sent, acked map[operation]int      // what operators asked for, and what was granted
	names       int                    // how many agents were thought of
	count       map[string]int         // of answers, for the test's log
	received    map[string]*credential // by identifier
}

// An operation is an operator's change, as the audit log names it.
type operation struct{ action, about string }

// An invitation is an enrollment token.
type invitation struct {
	agent *crashAgent
	token string
}

func newCrashWorld(t *testing.T, seed uint64) *crashWorld {
	t.Helper()
	dir, err := os.MkdirTemp("", "brevet") // unix sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	w := &crashWorld{
		t: t, dir: dir, random: mathrand.New(mathrand.NewPCG(seed, 0)), numbers: map[string]int64{},
		sent: map[operation]int{}, acked: map[operation]int{}, count: map[string]int{}, received: map[string]*credential{},
	}
	t.Cleanup(func() {
		if w.process != nil {
			w.process.Kill()
		}
		if t.Failed() {
			t.Logf("the authority's directory is kept: %s (its log is %s there)", dir, servertest.ServerLog)
			return
		}
		os.RemoveAll(dir)
	})
	c := server.InitConfig{
		Dir: dir, TrustDomain: servertest.TrustDomain, Listen: w.quietAddress(), ListenHTTP: w.quietAddress(), NoPassphrase: true,
		RootLifetime: 10 * 365 * 24 * time.Hour, IssuerLifetime: 90 * 24 * time.Hour, Actor: "test",
	}
	made, err := server.Init(t.Context(), c, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.url, w.http = made.Advertise, "http://"+c.ListenHTTP
	w.numbers[made.Issuer] = 0
	return w
}

// quietAddress returns a free address whose port the system gives to no
// outgoing connection (those begin at 32768 or above): it must still be free
// each time the server comes back.
func (w *crashWorld) quietAddress() string {
	w.t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+w.random.IntN(22000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	w.t.Fatal("no free port found on 127.0.0.1 between 10000 and 32000")
	return ""
}

func (w *crashWorld) path(name string) string { return filepath.Join(w.dir, name) }

// fail reports that the authority broke its word, unless that was reported
// often enough.
func (w *crashWorld) fail(format string, args ...any) {
	w.t.Helper()
	if w.failures.Add(1) > 10 {
		return
	}
	w.t.Errorf("crash %d: %s", w.round, fmt.Sprintf(format, args...))
}

// must ends the test if the authority does not do what it has to.
func (w *crashWorld) must(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("crash %d: %s: %v", w.round, what, err)
	}
}

// start starts the server and returns how long it took to be ready.
func (w *crashWorld) start() time.Duration {
	w.t.Helper()
	w.process = servertest.Spawn(w.t, w.dir)
	took, err := w.process.Ready()
	w.must("starting", err)
	w.admin = api.Dial(w.dir)
	return took
}

// ctx bounds what is asked of the server.
func (w *crashWorld) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), servertest.Patience)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// setUp learns the roots and enrolls the resource server.
func (w *crashWorld) setUp() {
	w.t.Helper()
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, Timeout: servertest.Patience}
	got, err := get(insecure, w.url+"/roots.pem")
	w.must("fetching the roots", err)
	w.roots = x509.NewCertPool()
	if !w.roots.AppendCertsFromPEM(got.body) {
		w.t.Fatal("the authority serves no roots")
	}
	l := &load{crashWorld: w}
	if w.api = l.addAgent(agents.Change{Scopes: []string{"brevet:introspect"}}); w.api == nil {
		w.t.Fatal("the resource server could not be enrolled")
	}
	w.idle = nil
}
