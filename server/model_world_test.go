package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// An authority is a whole server without its sockets: requests go straight to
// the handlers, at an instant that the test sets. It is fast enough to try
// thousands of situations.
type world struct {
	kept map[string]*ecdsa.PrivateKey // by serial number, see enrolled
	*Server
	t         testing.TB
	agents    http.Handler
	public    http.Handler
	operators http.Handler
	clock     atomic.Int64 // nanoseconds since 1970
	begun     time.Time    // if set, the clock goes on from there
	afterNow  func()       // if set, is called when the next one has read the clock
	peers     atomic.Uint32
}

// dawn is when every authority here is made.
var dawn = time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)

func newAuthority(t testing.TB, change ...func(*InitConfig)) *world {
	t.Helper()
	c := InitConfig{
		Dir: t.TempDir(), TrustDomain: "example.internal", NoPassphrase: true,
		RootLifetime: 10 * 365 * 24 * time.Hour, IssuerLifetime: 90 * 24 * time.Hour, Actor: "test",
	}
	for _, f := range change {
		f(&c)
	}
	if _, err := Init(t.Context(), c, dawn); err != nil {
		t.Fatal(err)
	}
	return openAuthority(t, c.Dir, dawn)
}

// openAuthority is newAuthority for a directory that has one already.
func openAuthority(t testing.TB, dir string, at time.Time) *world {
	t.Helper()
	a := &world{t: t}
	a.set(at)
	s, err := New(Config{Dir: dir, Version: "test", Now: a.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a.Server = s
	if err := s.authority.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.agents, a.public, a.operators = s.observed(s.agentHandler()), s.observed(s.publicHandler()), fromHere(t, s.observed(s.operatorHandler()))
	return a
}

// fromHere serves every request as if it came over a unix socket that this
// process has opened: the user id that the kernel tells of makes an operator.
func fromHere(t testing.TB, h http.Handler) http.Handler {
	l, err := admin.Listen(t.TempDir(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	us, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer us.Close()
	them, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { them.Close() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.WithContext(admin.Operators(nil).ConnContext(r.Context(), them))
		h.ServeHTTP(w, asked)
		r.Pattern = asked.Pattern
	})
}

func (a *world) now() time.Time {
	at := time.Unix(0, a.clock.Load()).UTC()
	if !a.begun.IsZero() {
		at = at.Add(time.Since(a.begun))
	}
	if f := a.afterNow; f != nil {
		a.afterNow = nil
		f()
	}
	return at
}

func (a *world) set(at time.Time) { a.clock.Store(at.UnixNano()) }

// A reply is what a handler answered.
type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any // nil if the body is no JSON object
}

// ask sends a request to a handler, from an address that nobody used before.
// cert, if any, is what the TLS client has proved to have the key of.
func (a *world) ask(h http.Handler, method, path, contentType, body string, cert *x509.Certificate) reply {
	return a.serve(h, httptest.NewRequest(method, path, strings.NewReader(body)), contentType, cert)
}

// send posts, with more headers.
func (a *world) send(h http.Handler, path, contentType, body string, cert *x509.Certificate, header http.Header) reply {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header = header
	return a.serve(h, r, contentType, cert)
}

func (a *world) serve(h http.Handler, r *http.Request, contentType string, cert *x509.Certificate) reply {
	r.Header.Set("Content-Type", contentType)
	r.RemoteAddr = address(a.peers.Add(1))
	r.TLS = &tls.ConnectionState{}
	if cert != nil {
		r.TLS.PeerCertificates = []*x509.Certificate{cert}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := reply{status: w.Code, header: w.Result().Header, body: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &got.json)
	return got
}

// address returns the n'th address.
func address(n uint32) string {
	return fmt.Sprintf("10.%d.%d.%d:4711", n>>16&0xff, n>>8&0xff, n&0xff)
}

func (a *world) postJSON(h http.Handler, path string, doc any, cert *x509.Certificate) reply {
	body, err := json.Marshal(doc)
	if err != nil {
		a.t.Error(err)
	}
	return a.ask(h, "POST", path, "application/json", string(body), cert)
}

func (a *world) postForm(path string, form url.Values, cert *x509.Certificate) reply {
	return a.ask(a.agents, "POST", path, "application/x-www-form-urlencoded", form.Encode(), cert)
}

// operate asks as an operator. Everything that an operator asks for here must succeed.
func (a *world) operate(method, path string, doc any) reply {
	a.t.Helper()
	body, err := json.Marshal(doc)
	if err != nil {
		a.t.Error(err)
	}
	got := a.ask(a.operators, method, path, "application/json", string(body), nil)
	if got.status != http.StatusOK {
		a.t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
	}
	return got
}

// atOnce calls f for each of all, from several goroutines: their writes share
// commits.
func atOnce[T any](all []T, f func(T)) {
	var wait sync.WaitGroup
	defer wait.Wait()
	next := make(chan T)
	defer close(next)
	for range 32 {
		wait.Go(func() {
			for one := range next {
				f(one)
			}
		})
	}
	for _, one := range all {
		next <- one
	}
}

// add registers an agent and returns its enrollment token.
func (a *world) add(name string, c agents.Change) string {
	a.t.Helper()
	if c.Owner == nil {
		c.Owner = new("team")
	}
	return invitedToken(a.operate("POST", "/agents", api.AddRequest{Name: name, Change: api.Change(c)}))
}

// invitedToken returns the enrollment token that an operator was given.
func invitedToken(r reply) string {
	enrollment, _ := r.json["enrollment"].(map[string]any)
	token, _ := enrollment["token"].(string)
	return token
}

// leaf returns the certificate of an answer, or nil if it has none.
func (r reply) leaf(t testing.TB) *x509.Certificate {
	t.Helper()
	text, _ := r.json["certificate"].(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Errorf("the certificate that was answered: %v", err)
	}
	return cert
}

// token returns the access token of an answer.
func (r reply) token() string {
	text, _ := r.json["access_token"].(string)
	return text
}

// active asks the operators' introspection.
func (a *world) active(token string) bool {
	got := a.postJSON(a.operators, "/tokens/introspect", map[string]string{"token": token}, nil)
	active, ok := got.json["active"].(bool)
	if got.status != http.StatusOK || !ok {
		a.t.Errorf("introspection: %d %s", got.status, got.body)
	}
	return active
}

// renewable reports whether a certificate authenticates its agent now.
func (a *world) renewable(cert *x509.Certificate) bool {
	err := a.db.View(context.Background(), func(tx storage.Tx) error {
		_, _, err := ca.Authenticate(tx, cert, a.now())
		return err
	})
	return err == nil
}

// revokedSerials publishes and returns what the lists of all issuers say.
func (a *world) revokedSerials() map[string]bool {
	lists, err := a.authority.CRL.Publish(context.Background())
	if err != nil {
		a.t.Error("publishing: ", err)
	}
	revoked := map[string]bool{}
	for _, l := range lists {
		got := a.ask(a.public, "GET", ca.CRLPath(l.Issuer), "", "", nil)
		parsed, err := x509.ParseRevocationList([]byte(got.body))
		if err != nil {
			a.t.Error("parsing the CRL: ", err)
			continue
		}
		for _, e := range parsed.RevokedCertificateEntries {
			var id agents.CredentialID
			e.SerialNumber.FillBytes(id[:])
			revoked[id.String()] = true
		}
	}
	return revoked
}

// log returns the entries of the audit log from a position on, with the refusals that
// were only counted so far.
func (a *world) log(from int64) (all []audit.Event) {
	if err := a.policy.Flush(context.Background(), a.Server.clock.Now()); err != nil {
		a.t.Fatal(err)
	}
	err := a.db.View(context.Background(), func(tx storage.Tx) error {
		all = nil
		for e, err := range audit.Since(tx, from) {
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	})
	if err != nil {
		a.t.Error("reading the log: ", err)
	}
	return all
}

// update changes the store behind everybody's back.
func (a *world) update(fn func(storage.Tx) error) {
	a.t.Helper()
	if err := a.db.Update(context.Background(), fn); err != nil {
		a.t.Fatal(err)
	}
}
