package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/audit/audittest"
)

const origin = "https://ca.example"

// A world is a Service over an authority, with a clock that tests set.
type world struct {
	*Service
	t         testing.TB
	authority *catest.Authority
	now       time.Time
	crl       int // how often it was published
	gate      func(http.Handler) http.Handler
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: catest.Start, gate: func(h http.Handler) http.Handler { return h }}
	w.authority = catest.New(t, catest.Plan{Now: func() time.Time { return w.now }})
	w.Service = New(Config{
		DB: w.authority.DB, Policy: &policy.Point{DB: w.authority.DB, Quotas: agents.DefaultQuotas}, CA: w.authority.CA, TrustDomain: domain, Address: address.At(origin), Clock: w.authority.Clock(),
		Revoked: func(context.Context) error { w.crl++; return nil }, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(w.Close)
	t.Cleanup(func() { audittest.Check(t, w.recorded()) })
	return w
}

// must turns an error into the end of the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// recorded returns the audit log, with the refusals that were only counted so far.
func (w *world) recorded() []audit.Event {
	w.t.Helper()
	if err := w.Policy.Flush(context.Background(), w.now); err != nil {
		w.t.Fatal(err)
	}
	return w.authority.Events()
}

// events returns the audit log's entries of a decision, as "action subject".
func (w *world) events(d audit.Decision) (all []string) {
	w.t.Helper()
	for _, e := range w.recorded() {
		if e.Decision == d {
			all = append(all, string(e.Action)+" "+e.Subject)
		}
	}
	return all
}

// An answered is what the Service answered.
type answered struct {
	status  int
	header  http.Header
	body    []byte
	problem problem // zero if the answer is not a problem
}

// send has the Service answer one request, and checks what every answer has.
func (w *world) send(method, path, kind string, body []byte) *answered {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(string(body)))
	r.Header.Set("Content-Type", kind)
	rec := httptest.NewRecorder()
	w.gate(http.HandlerFunc(w.route)).ServeHTTP(rec, r)
	a := &answered{status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
	if a.status >= 400 {
		if err := json.Unmarshal(a.body, &a.problem); err != nil || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(a.body), problemPrefix) {
			w.t.Fatalf("%s %s: %d, which is no problem document: %s", method, path, a.status, a.body)
		}
		if a.problem.Status != a.status || a.problem.Detail == "" {
			w.t.Errorf("%s %s: %d with the problem %s", method, path, a.status, a.body)
		}
	}
	if method == http.MethodPost && (a.header.Get("Replay-Nonce") == "" || a.header.Get("Cache-Control") != "no-store" || !strings.Contains(a.header.Get("Link"), `rel="index"`)) {
		w.t.Errorf("%s %s: %d without nonce, no-store or index: %v", method, path, a.status, a.header)
	}
	return a
}

// is checks that something was refused with a problem, or not, if want is "".
func (a *answered) is(t testing.TB, what, want string) {
	t.Helper()
	if a.problem.Type != want || want == "" && a.status >= 300 {
		t.Errorf("%s: got %d %q (%s), want %q", what, a.status, a.problem.Type, a.problem.Detail, want)
	}
}

// read reads the answer's JSON.
func (a *answered) read(t testing.TB) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return m
}

// A user signs with a key for an account, or as that key itself.
type user struct {
	w      *world
	signer crypto.Signer
	kid    string
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	return must(ecdsa.GenerateKey(curve, rand.Reader))(t)
}

func (w *world) user() *user { return &user{w: w, signer: newECDSA(w.t, elliptic.P256())} }

// open registers an agent and opens an account of it.
func (w *world) open(name agents.Name, c agents.Change) *user {
	w.t.Helper()
	a := w.user()
	a.bind(w.authority.Add(name, c))
	return a
}

func (c *user) bind(e agents.Enrollment) {
	c.w.t.Helper()
	got := c.post("/acme/new-account", c.binding(e, nil))
	if got.status != http.StatusCreated {
		c.w.t.Fatalf("opening an account: %d %s", got.status, got.body)
	}
	c.kid = got.header.Get("Location")
}

// path is that of the account.
func (c *user) path() string { return strings.TrimPrefix(c.kid, origin) }

func (c *user) key() *key {
	c.w.t.Helper()
	return must(newKey(c.signer.Public()))(c.w.t)
}

// post sends a payload: JSON text as it is, "" for POST-as-GET.
func (c *user) post(path, payload string) *answered {
	c.w.t.Helper()
	return c.message(path, payload).send()
}

// order orders names and returns the path of the order.
func (c *user) order(names ...string) string {
	c.w.t.Helper()
	got := c.post("/acme/new-order", orderOf(names...))
	if got.status != http.StatusCreated {
		c.w.t.Fatalf("ordering %v: %d %s", names, got.status, got.body)
	}
	return strings.TrimPrefix(got.header.Get("Location"), origin)
}

func orderOf(names ...string) string {
	var ids []identifier
	for _, n := range names {
		ids = append(ids, identifier{"dns", n})
	}
	text, _ := json.Marshal(map[string]any{"identifiers": ids})
	return string(text)
}

// csr is the payload of a finalization.
func csr(t testing.TB, key crypto.Signer, template *x509.CertificateRequest) string {
	t.Helper()
	return `{"csr":"` + b64(must(x509.CreateCertificateRequest(rand.Reader, template, key))(t)) + `"}`
}

func (c *user) finalize(order string, names ...string) *answered {
	c.w.t.Helper()
	return c.post(order+"/finalize", csr(c.w.t, newECDSA(c.w.t, elliptic.P256()), &x509.CertificateRequest{DNSNames: names}))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// TestDeathInFlight ends an account after its request was let in: the
// transaction that would change something looks again.
func TestDeathInFlight(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	own := "bot.example.internal"
	order := c.order(own)
	fire := func() {
		w.authority.Update(func(tx storage.Tx) error {
			return End(tx, strings.TrimPrefix(c.path(), "/acme/account/"), agents.Superseded)
		})
	}
	w.DB = &hookedDB{DB: w.DB, views: 2, hook: fire} // one View finds the signer, one the order
	c.finalize(order, own).is(t, "finalizing", "unauthorized")
	if allowed := w.events(audit.Allow); slices.Contains(allowed, "certificate.issue bot") {
		t.Errorf("a certificate was issued: %v", allowed)
	}
	c = w.open("other", agents.Change{})
	w.DB = &hookedDB{DB: w.DB, views: 1, hook: fire}
	c.post(c.path(), `{"contact":["mailto:a@x.example"]}`).is(t, "a contact", "unauthorized")
	c = w.open("third", agents.Change{})
	inner := c.keyChange(&user{w: w, signer: newECDSA(t, elliptic.P256())}, nil)
	w.DB = &hookedDB{DB: w.DB, views: 1, hook: fire}
	c.post("/acme/key-change", inner).is(t, "a key change", "unauthorized")
}

// A hookedDB calls back once, after a number of Views.
type hookedDB struct {
	storage.DB
	views int
	hook  func()
}

func (d *hookedDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	err := d.DB.View(ctx, fn)
	if d.views--; d.views == 0 {
		d.hook()
	}
	return err
}
