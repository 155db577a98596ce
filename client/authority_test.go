package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// An authority is a small server that keeps the contract of a real one, and
// can be told to break it.
type authority struct {
	endpoint
	root, issuing *signer
	roots         []*signer // what /roots.pem has: root, and what HTTPS rests on
	log           *recording

	mu      sync.Mutex
	serial  int64
	invites map[string]string    // enrollment token → agent
	live    map[string]certified // by the DER of the certificate
	used    map[string]bool      // jti of assertions
	current map[string]crypto.PublicKey
	life    time.Duration                                 // of certificates and tokens
	lasting map[string]crypto.PublicKey                   // registered keys, by agent
	keyAge  time.Duration                                 // how old they are, of an hour; 0 means that the authority does not say
	grace   time.Duration                                 // for how long an expired certificate renews
	lost    bool                                          // the answer of the next replacement of a key is
	late    []time.Time                                   // when one did
	asked   []string                                      // the profile of each certificate asked for
	instead map[string]http.HandlerFunc                   // by path, in place of the handler
	alter   func(t *x509.Certificate, key *any) *signer   // before a certificate is signed; may give another signer
	answer  func(doc map[string]string) map[string]string // before an issued certificate is sent
}

type certified struct{ agent string }

// A recording is all that the authority was sent, after TLS.
type recording struct {
	mu   sync.Mutex
	text bytes.Buffer
	n    map[string]int // requests by path
}

func (r *recording) count(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[path]
}

func (r *recording) contains(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(r.text.String(), s)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newAuthority starts an authority on loopback.
func newAuthority(t testing.TB) *authority {
	return newHybridAuthority(t, classical)
}

// newPipedAuthority starts an authority that is reached without a network, so
// that it can live in a synctest bubble.
func newPipedAuthority(t testing.TB) *authority {
	p := newPipe()
	t.Cleanup(func() { time.Sleep(10 * time.Second) }) // crypto/tls gives a closing connection 5 s
	return startAuthority(t, p, endpoint{url: "https://127.0.0.1", dial: p.dial}, newHierarchy(t, classical))
}

func startAuthority(t testing.TB, l net.Listener, e endpoint, h hierarchy) *authority {
	a := &authority{
		endpoint: e, log: &recording{n: map[string]int{}}, life: 5 * time.Minute,
		invites: map[string]string{}, live: map[string]certified{}, used: map[string]bool{},
		current: map[string]crypto.PublicKey{}, instead: map[string]http.HandlerFunc{},
	}
	a.root, a.roots, a.issuing = h.roots[0], h.roots, h.issuing
	key, err := newKey()
	check(t, err)
	own := h.https.Sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "brevet"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key.Public())
	srv := &http.Server{Handler: a, ErrorLog: log.New(io.Discard, "", 0)}
	go srv.Serve(tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw, h.https.Cert.Raw}, PrivateKey: key}},
		ClientAuth:   tls.RequestClientCert,
	}))
	t.Cleanup(func() { srv.Close() })
	return a
}

// A pipe is a listener for connections within the process.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	once   *sync.Once
}

func newPipe() pipe { return pipe{make(chan net.Conn), make(chan struct{}), new(sync.Once)} }

func (p pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p pipe) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p pipe) Addr() net.Addr { return &net.TCPAddr{} }
func (p pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ServeHTTP records the request and answers it.
func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.log.mu.Lock()
	a.log.n[r.URL.Path]++
	fmt.Fprintf(&a.log.text, "%s %s\n%v\n%s\n", r.Method, r.URL, r.Header, body)
	a.log.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	route := r.Method + " " + r.URL.Path
	if h := a.instead[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	switch route {
	case "GET /roots.pem":
		for _, root := range a.roots {
			w.Write(certificatesPEM(root.Cert.Raw))
		}
	case "GET /chain.pem":
		w.Write(certificatesPEM(a.issuing.Cert.Raw))
	case "POST /v1/enroll":
		a.serveEnroll(w, body)
	case "POST /v1/certificates":
		a.serveCertificates(w, r, body)
	case "POST /v1/keys":
		a.serveKeys(w, r, body)
	case "POST /oauth/token":
		a.serveToken(w, r, body)
	default:
		http.NotFound(w, r)
	}
}

// breakPath answers path with h from now on; nil mends it.
func (a *authority) breakPath(path string, h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.instead[path] = h
}

func (a *authority) invite(agent string) Secret {
	a.mu.Lock()
	defer a.mu.Unlock()
	token := "brevet_enroll_" + rand.Text()
	a.invites[token] = agent
	return NewSecret(token)
}

// revoke kills all certificates.
func (a *authority) revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.live)
	clear(a.current)
}

func problem(status int, detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
	}
}

// enroll enrolls the agent bot and returns its identity.
func (a *authority) enroll(t testing.TB, dir string, names ...string) *Identity {
	t.Helper()
	id, err := a.config(dir, names...).enroll(t.Context(), a.endpoint)
	check(t, err)
	return id
}

func (a *authority) config(dir string, names ...string) EnrollConfig {
	c := EnrollConfig{Server: a.url, Token: a.invite("bot"), Dir: dir, Names: names}
	for _, root := range a.roots {
		c.Fingerprints = append(c.Fingerprints, fingerprint(root.Cert))
	}
	return c
}

// load is Load for an authority that is reached without a network.
func (a *authority) load(t testing.TB, dir string) *Identity {
	t.Helper()
	id, err := Load(dir)
	check(t, err)
	id.authority.Store(&a.endpoint)
	return id
}
