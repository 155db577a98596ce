package acme

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHTTP01(t *testing.T) {
	for _, c := range []struct{ value, address string }{{"a.example", "127.0.0.1"}, {"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}} {
		t.Run(c.value, func(t *testing.T) {
			a := newTarget(t)
			a.http(c.address, func(w http.ResponseWriter, r *http.Request) {
				// The port in URLs is that of the protocol, wherever it is mapped to.
				if want := hostOf(c.value); r.Host != want || r.Method != "GET" || len(r.Cookies()) > 0 {
					t.Errorf("%s for host %s, want %s", r.Method, r.Host, want)
				}
				a.answer(w, r)
			})
			a.want("http-01", c.value, "", "")
		})
	}
}

// TestHTTP01Redirects are followed, within bounds.
func TestHTTP01Redirects(t *testing.T) {
	a := newTarget(t, "b.example. 0 A 127.0.0.1")
	secure := httptest.NewUnstartedServer(http.HandlerFunc(a.answer))
	a.listen(&secure.Listener, "127.0.0.1", &a.config.TLSPort)
	secure.StartTLS()
	defer secure.Close()
	var to string
	a.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		var n int
		switch _, err := fmt.Sscanf(r.URL.Path, "/hop/%d", &n); {
		case r.URL.Path == "/answer":
			fmt.Fprint(w, a.keyAuthorization())
		case err == nil && n > 1:
			http.Redirect(w, r, fmt.Sprintf("/hop/%d", n-1), http.StatusFound)
		case err == nil:
			http.Redirect(w, r, "/answer", http.StatusSeeOther)
		default:
			http.Redirect(w, r, strings.ReplaceAll(to, "PATH", r.URL.Path), http.StatusMovedPermanently)
		}
	})
	for _, c := range []struct{ to, problem, text string }{
		{"/answer", "", ""},
		{"http://b.example/answer", "", ""},
		{fmt.Sprintf("http://b.example:%d/answer", a.config.HTTPPort), "", ""},
		{"https://b.examplePATH", "", ""},
		{"https://127.0.0.1PATH", "", ""},
		{fmt.Sprintf("https://b.example:%dPATH", a.config.TLSPort), "", ""},
		{"/hop/4", "", ""}, // five in all
		{"/hop/5", "incorrectResponse", "more than 5 redirects"},
		{"PATH", "incorrectResponse", "more than 5 redirects"},
		{"http://b.example:22/", "connection", `port "22" is neither`},
		{"https://b.example:8443/", "connection", `port "8443" is neither`},
		{"ftp://b.example/", "incorrectResponse", "a redirect leads to"},
		{"file:///etc/passwd", "incorrectResponse", "a redirect leads to"},
		{"http://user:secret@b.example/answer", "incorrectResponse", "a redirect leads to"},
		{"http:///answer", "incorrectResponse", "a redirect leads to"},
		{"http://b.example/" + strings.Repeat("x", 3000), "incorrectResponse", "a redirect leads to"},
		{"http://169.254.169.254/latest/meta-data/", "connection", "169.254.169.254: it is a link-local address"},
		{"http://[::ffff:169.254.169.254]/", "connection", "it is a link-local address"},
		{fmt.Sprintf("https://b.example:%d/answer", a.config.HTTPPort), "incorrectResponse", "cannot be read as HTTP"},
		{"http://0.0.0.0/answer", "connection", "unspecified"},
		{"http://nowhere.example/", "dns", "looking up nowhere.example.: no such host"},
	} {
		to = c.to
		a.want("http-01", "a.example", c.problem, c.text)
	}
}

func TestHTTP01Failures(t *testing.T) {
	const secret = "database password"
	for name, c := range map[string]struct {
		serve         http.HandlerFunc
		problem, text string
	}{
		"wrong body":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, secret) }, "unauthorized", "is not its key authorization"},
		"nothing":     {func(http.ResponseWriter, *http.Request) {}, "unauthorized", "is not its key authorization"},
		"the token":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, testToken) }, "unauthorized", "is not its key authorization"},
		"not found":   {http.NotFound, "incorrectResponse", "status 404"},
		"no content":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "incorrectResponse", "status 204"},
		"huge body":   {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, maxResponse+1)) }, "incorrectResponse", "more than 65536 bytes"},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 2*maxHeader)) }, "incorrectResponse", "16384 bytes of header"},
		"endless body": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write(make([]byte, 4096))
			}
		}, "incorrectResponse", "more than 65536 bytes"},
		"slow":      {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "connection", "no complete answer came in time"},
		"slow body": {func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() }, "connection", "no complete answer came in time"},
		"gone":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection", "was closed before"},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, secret)
		}, "connection", "was closed before"},
		"not HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprint(conn, secret+"\r\n\r\n")
			conn.Close()
		}, "incorrectResponse", "cannot be read as HTTP"},
		"a redirect nowhere": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) }, "incorrectResponse", ""},
		"a redirect to garbage": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", ":"+secret)
			w.WriteHeader(302)
		}, "incorrectResponse", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newTarget(t)
			if strings.HasPrefix(name, "slow") {
				a.limit = 100 * time.Millisecond
			}
			a.http("127.0.0.1", c.serve)
			a.want("http-01", "a.example", c.problem, c.text)
			if p := a.prove("http-01", "a.example"); p == nil || strings.Contains(p.Detail, secret) {
				t.Errorf("%v tells what lies at the target", p)
			}
		})
	}
	a := newTarget(t)
	closed := a.http("127.0.0.1", a.answer)
	closed.Close()
	a.want("http-01", "a.example", "connection", "connection refused")
	a.want("http-01", "b.example", "dns", "looking up b.example.: no such host")
}

// TestNoProxy: the environment does not say where challenges are.
func TestNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	a := newTarget(t)
	a.http("127.0.0.1", a.answer)
	a.want("http-01", "a.example", "", "")
}

// TestRefusedTargets are not connected to, however they are named.
func TestRefusedTargets(t *testing.T) {
	a := newTarget(t, "meta.example. 0 A 169.254.169.254")
	var reached atomic.Int32
	a.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) { reached.Add(1); a.answer(w, r) })
	a.tls("127.0.0.1", &tls.Config{Certificates: []tls.Certificate{a.certificate("a.example")}, NextProtos: []string{"acme-tls/1"}})
	a.want("http-01", "a.example", "", "")
	a.want("tls-alpn-01", "a.example", "", "")
	a.config.Allow = nil
	for _, value := range []string{"a.example", "127.0.0.1", "meta.example"} {
		a.want("http-01", value, "connection", "this authority does not connect to")
		a.want("tls-alpn-01", value, "connection", "this authority does not connect to")
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("the target was reached %d times", n)
	}
}

// TestRebinding: a name that leads elsewhere when it is looked up again gains
// nothing, since each connection is judged.
func TestRebinding(t *testing.T) {
	a := newTarget(t, "moving.example. 0 A 127.0.0.1")
	a.config.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	a.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		a.zone.mu.Lock()
		delete(a.zone.records, "moving.example.")
		a.zone.mu.Unlock()
		a.zone.add(t, "moving.example. 0 A 127.0.0.2")
		http.Redirect(w, r, "http://moving.example"+r.URL.Path+"?again", http.StatusFound)
	})
	a.http("127.0.0.2", func(w http.ResponseWriter, r *http.Request) {
		t.Error("the other machine was reached")
		a.answer(w, r)
	})
	a.want("http-01", "moving.example", "connection", "this authority does not connect to 127.0.0.2")
}
