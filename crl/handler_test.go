package crl_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage/keys"
)

// An answer is what a relying party sees.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// served returns the plain HTTP server of a world, as a function that asks it.
func (w *world) served() func(method, path string, header ...string) answer {
	w.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /crl/{file}", func(rw http.ResponseWriter, r *http.Request) { w.ServeHTTP(rw, r) })
	mux.HandleFunc("GET "+crl.BundlePath, func(rw http.ResponseWriter, r *http.Request) { w.ServeBundle(rw, r) })
	srv := httptest.NewServer(mux)
	w.t.Cleanup(srv.Close)
	return func(method, path string, header ...string) answer {
		w.t.Helper()
		r, err := http.NewRequest(method, srv.URL+path, nil)
		w.check(err)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := srv.Client().Do(r)
		w.check(err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		w.check(err)
		return answer{resp.StatusCode, resp.Header, body}
	}
}

func TestListIsServed(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	path := ca.CRLPath(w.CA.Issuer().ID)
	ask := w.served()
	if got := ask("GET", path); got.status != http.StatusServiceUnavailable {
		t.Errorf("before any list: %d %s", got.status, got.body)
	}
	w.publish()
	der := w.Current()[0].DER
	got := ask("GET", path)
	if got.status != http.StatusOK || !bytes.Equal(got.body, der) {
		t.Errorf("got %d and %d octets, want the list", got.status, len(got.body))
	}
	for name, want := range map[string]string{
		"Content-Type": "application/pkix-crl", "ETag": `"1"`, "Cache-Control": "public, no-cache",
		"Last-Modified": start.Add(-30 * time.Second).Format(http.TimeFormat), "Expires": start.Add(10 * time.Minute).Format(http.TimeFormat),
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
		}
	}
	if head := ask("HEAD", path); head.status != http.StatusOK || len(head.body) != 0 || head.header.Get("ETag") != `"1"` || head.header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d, %v, %q", head.status, head.header, head.body)
	}
	for _, wrong := range []string{"/crl/unknown.crl", "/crl/" + w.CA.Issuer().ID, "/crl/" + w.CA.Issuer().ID + ".CRL", "/crl/" + w.CA.Issuer().ID[1:] + ".crl", "/crl/.crl", "/crl/", path + "/x"} {
		if got := ask("GET", wrong); got.status != http.StatusNotFound {
			t.Errorf("GET %s: %d", wrong, got.status)
		}
	}
	if got := ask("POST", path); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.status)
	}
}

// TestCachesAskWhetherTheListIsNew, and learn of the next one at once.
func TestCachesAskWhetherTheListIsNew(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	w.Add("bot", agents.Change{})
	c := w.issue("bot")
	path, ask := ca.CRLPath(w.CA.Issuer().ID), w.served()
	w.publish()
	first := ask("GET", path)
	tag, date := first.header.Get("ETag"), first.header.Get("Last-Modified")
	for _, condition := range [][]string{{"If-None-Match", tag}, {"If-None-Match", `"0", ` + tag}, {"If-Modified-Since", date}, {"If-None-Match", tag, "If-Modified-Since", date}} {
		got := ask("GET", path, condition...)
		if got.status != http.StatusNotModified || len(got.body) != 0 || got.header.Get("ETag") != tag {
			t.Errorf("%q: got %d with %d octets, want 304", condition, got.status, len(got.body))
		}
	}
	w.revoke(c, agents.KeyCompromise)
	w.at(start.Add(time.Minute))
	w.publish()
	for _, condition := range [][]string{{"If-None-Match", tag}, {"If-Modified-Since", date}, {"If-None-Match", tag, "If-Modified-Since", date}} {
		if got := ask("GET", path, condition...); got.status != http.StatusOK || got.header.Get("ETag") != `"2"` {
			t.Errorf("after a revocation, %q: got %d, %s", condition, got.status, got.header.Get("ETag"))
		}
	}
}

// TestDateDoesNotHideARevocation: dates tell lists apart by the second, and a
// clock may be set back. A client that asks by date gets every list other than
// the one it has.
func TestDateDoesNotHideARevocation(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	path, ask := ca.CRLPath(w.CA.Issuer().ID), w.served()
	w.publish()
	date := ask("GET", path).header.Get("Last-Modified")
	w.publish() // within the same second
	if got := ask("GET", path, "If-Modified-Since", date); got.status != http.StatusOK {
		t.Errorf("a list of the same second: %d", got.status)
	}
	w.at(start.Add(-time.Hour))
	w.publish()
	if got := ask("GET", path, "If-Modified-Since", date); got.status != http.StatusOK {
		t.Errorf("a list from after the clock was set back: %d", got.status)
	}
}
