package acme

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestProblemTypes finds each type that this package uses in its table.
func TestProblemTypes(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			name, ok1 := call.Fun.(*ast.Ident)
			text, ok2 := call.Args[0].(*ast.BasicLit)
			if !ok1 || !ok2 || name.Name != "newProblem" {
				return true
			}
			typ, _ := strconv.Unquote(text.Value)
			if found++; problemStatus[typ] < 400 {
				t.Errorf("%s: the type %q has no status", f.Name(), typ)
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("only %d problems were found", found)
	}
}

func TestProblemWithoutStatus(t *testing.T) {
	for _, err := range []error{newProblem("unheard-of", "x"), &problem{Type: "malformed"}, &problem{Type: "unheard-of"}, &problem{Type: "dns", Status: 200}} {
		if p := asProblem(err); p.Status < 400 || p.Status > 599 {
			t.Errorf("%+v has status %d", err, p.Status)
		}
	}
}

// TestCodesOfProblems are what the audit log has: lower case with underscores, and
// another one for each type.
func TestCodesOfProblems(t *testing.T) {
	seen := map[string]bool{}
	for typ := range problemStatus {
		code := newProblem(typ, "x").ProtocolCode()
		if seen[code] || !regexp.MustCompile(`^acme(_[a-z]+)+$`).MatchString(code) {
			t.Errorf("the code of %s is %q", typ, code)
		}
		seen[code] = true
	}
	for _, code := range []string{"acme_bad_csr", "acme_order_not_ready", "acme_malformed", "acme_external_account_required"} {
		if !seen[code] {
			t.Errorf("no problem has the code %s", code)
		}
	}
}

// TestProblemRoundTrip: problems of challenges are stored.
func TestProblemRoundTrip(t *testing.T) {
	p := newProblem("compound", "two names: %s", `"<x>"`)
	p.algorithms = []string{"ES256"}
	for _, name := range []string{"a.example", "b.example"} {
		sub := newProblem("dns", "no such name")
		sub.Identifier = &identifier{"dns", name}
		p.Sub = append(p.Sub, sub)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var got problem
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(&got, p) {
		t.Errorf("%s is read as %+v, %v", text, got, err)
	}
	var doc struct {
		Type        string
		Status      int
		Subproblems []struct {
			Type       string
			Identifier identifier
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.Type != "urn:ietf:params:acme:error:compound" || doc.Status != 403 ||
		len(doc.Subproblems) != 2 || doc.Subproblems[1].Identifier.Value != "b.example" || doc.Subproblems[1].Type != "urn:ietf:params:acme:error:dns" {
		t.Errorf("%s", text)
	}
}

// TestErrorsAsProblems is about what outsiders learn of errors: nothing that
// is for the log.
func TestErrorsAsProblems(t *testing.T) {
	secret := errors.New("disk /var/lib/brevet")
	for _, c := range []struct {
		err    error
		want   string
		status int
		told   string
	}{
		{fmt.Errorf("%w: x.example", policy.ErrName), "rejectedIdentifier", 403, "x.example"},
		{&policy.Unrecorded{Reason: fmt.Errorf("%w: x.example", policy.ErrName), Err: secret}, "rejectedIdentifier", 403, "x.example"},
		{fmt.Errorf("%w lifetime 2h", agents.ErrInvalid), "malformed", 400, "2h"},
		{fmt.Errorf("%w: bot is suspended", agents.ErrNotActive), "unauthorized", 401, "not active"},
		{&policy.Unrecorded{Reason: agents.ErrRevoked, Err: secret}, "unauthorized", 401, "not active"},
		{fmt.Errorf("%w: %w", clock.ErrUnavailable, secret), "serverInternal", 503, "minute"},
		{fmt.Errorf("writing: %w", storage.ErrFull), "serverInternal", 503, "minute"},
		{fmt.Errorf("%w: %w", agents.NewRefusalOf(agents.NotNow, "engine_failed", "no answer", policy.ErrDenied), policy.ErrName), "serverInternal", 503, "try again"},
		{policy.ErrDenied, "unauthorized", 403, "rules"},
		{policy.ErrApproval, "unauthorized", 403, "approve"},
		{secret, "serverInternal", 500, "try again"},
		{storage.ErrClosed, "serverInternal", 500, "try again"},
		{fmt.Errorf("wrapped: %w", newProblem("badCSR", "no")), "badCSR", 400, "no"},
	} {
		p := asProblem(c.err)
		if p.Type != c.want || p.Status != c.status || !strings.Contains(p.Detail, c.told) || strings.Contains(p.Detail, "suspended") || strings.Contains(p.Detail, "disk") || p.RetryAfter != policy.RetryAfter(c.err) {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
}

// TestRefusalLog: what the log says of a refusal, beside what the client hears.
func TestRefusalLog(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	w.Log = slog.New(slog.NewTextHandler(&log, nil))
	e := w.authority.Add("bot", agents.Change{})
	c := w.user()
	c.post("/acme/new-account", c.binding(e, func(m *message) { m.header["url"] = "x" })).is(t, "a wrong binding", "malformed")
	if text := log.String(); !strings.Contains(text, "malformed") || strings.Contains(text, e.Binding.KeyID) || strings.Contains(text, e.Binding.MACKey.Reveal()) {
		t.Errorf("the log: %s", text)
	}
}

// TestUnrouted asks for what is not there, and with other methods (RFC 8555,
// section 6.3).
func TestUnrouted(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	order := c.order("bot.example.internal")
	for _, x := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/acme/new-account", 405, "POST"}, {"HEAD", "/acme/new-order", 405, "POST"}, {"PUT", "/acme/key-change", 405, "POST"},
		{"GET", c.path(), 405, "POST"}, {"DELETE", c.path(), 405, "POST"}, {"GET", order, 405, "POST"}, {"GET", order + "/finalize", 405, "POST"},
		{"POST", "/acme/directory", 405, "GET, HEAD"}, {"POST", "/acme/new-nonce", 405, "GET, HEAD"}, {"POST", "/acme/renewal-info/x.y", 405, "GET, HEAD"},
		{"GET", "/acme/", 404, ""}, {"POST", "/acme/", 404, ""}, {"POST", "/acme/new-authz", 404, ""}, {"GET", "/acme/order", 404, ""},
		{"POST", "/acme/account//orders/x", 404, ""}, {"BREW", "/acme/x/y/z", 404, ""},
	} {
		got := w.send(x.method, x.path, "application/jose+json", nil)
		if got.status != x.status || got.problem.Type != "malformed" || got.header.Get("Allow") != x.allow {
			t.Errorf("%s %s: %d %v %s", x.method, x.path, got.status, got.header, got.body)
		}
	}
	if got := w.send("GET", "/acme/directory", "", nil); got.status != http.StatusOK || got.read(t)["newOrder"] != origin+"/acme/new-order" {
		t.Errorf("the directory: %d %s", got.status, got.body)
	}
}

// limited puts the Service behind a gate.
func (w *world) limited() {
	counters := admission.New(func() time.Time { return w.now })
	w.gate = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			counted := counters.Admit(netip.MustParseAddr("192.0.2.1"))
			next.ServeHTTP(rw, r.WithContext(admission.With(r.Context(), counted)))
			counted.End(rw.(*httptest.ResponseRecorder).Code >= 400 && rw.Header().Get("Retry-After") == "")
		})
	}
}

// TestRefusedTooOften: an agent that was refused too often is told so without a record,
// and only after it has proven its identity.
func TestRefusedTooOften(t *testing.T) {
	w := newWorld(t)
	w.limited()
	c, other := w.open("bot", agents.Change{}), w.open("other", agents.Change{})
	for c.post("/acme/new-order", orderOf("x.example")).problem.Type == "rejectedIdentifier" {
	}
	events := len(w.events("deny"))
	if events != 50 {
		t.Errorf("%d refusals were recorded, want 50", events)
	}
	for range 3 {
		got := c.post(c.path(), "")
		if got.is(t, "while over the limit", "rateLimited"); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
			t.Errorf("%d %v", got.status, got.header)
		}
	}
	forged := c.message(c.path(), "")
	forged.sign = func([]byte) []byte { return make([]byte, 64) }
	forged.send().is(t, "a wrong signature", "malformed")
	other.post(other.path(), "").is(t, "a neighbour", "")
	w.authority.Update(func(tx storage.Tx) error {
		_, err := agents.Suspend(tx, "bot", agents.Unspecified, w.now)
		return err
	})
	c.post(c.path(), "").is(t, "suspended and over the limit", "rateLimited")
	(&user{w: w, signer: c.signer}).post("/acme/new-account", "{}").is(t, "looking up the account", "rateLimited")
	if n := len(w.events("deny")); n != events {
		t.Errorf("%d refusals were recorded over the limit", n-events)
	}
	if w.now = w.now.Add(11 * time.Second); c.post(c.path(), "").problem.Type != "unauthorized" {
		t.Error("a suspended account answers")
	}
}

// TestStrangersAtTheAddress use up the limit. Accounts there go on, and new ones can be
// opened; nobody is told rateLimited for a nonce of before a restart.
func TestStrangersAtTheAddress(t *testing.T) {
	w := newWorld(t)
	w.limited()
	c := w.open("bot", agents.Change{})
	stranger := w.user()
	for range 60 {
		stranger.post("/acme/new-account", "{}")
	}
	stranger.post("/acme/new-account", "{}").is(t, "a stranger", "rateLimited")
	c.post(c.path(), "").is(t, "an account", "")
	w.open("newcomer", agents.Change{})
	old := c.message(c.path(), "")
	old.header["nonce"] = "AAAAAAAAAAAAAAAAAAAAAA"
	old.send().is(t, "an old nonce", "badNonce")
}

// TestSubproblems orders several names that are wrong, each in its way (RFC
// 8555, section 6.7.1).
func TestSubproblems(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	got := c.post("/acme/new-order", `{"identifiers":[{"type":"email","value":"a@x"},{"type":"dns","value":"bot.example.internal"},{"type":"dns","value":"x.example"}]}`)
	if got.is(t, "two kinds", "compound"); len(got.problem.Sub) != 2 || got.status != http.StatusForbidden {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for i, want := range []problem{
		{Type: "unsupportedIdentifier", Identifier: &identifier{"email", "a@x"}}, {Type: "rejectedIdentifier", Identifier: &identifier{"dns", "x.example"}},
	} {
		if p := got.problem.Sub[i]; p.Type != want.Type || p.Identifier == nil || *p.Identifier != *want.Identifier || p.Status != problemStatus[want.Type] || p.Detail == "" {
			t.Errorf("subproblem %d: %+v", i, p)
		}
	}
	if denied := w.events(audit.Deny); !slices.Equal(denied, []string{"acme.order bot"}) {
		t.Errorf("the audit log has %v", denied)
	}
	c.post("/acme/new-order", orderOf("x.example", "y.example")).is(t, "one kind", "rejectedIdentifier")
}
