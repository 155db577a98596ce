package ocsp_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// An answer is what a relying party sees.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// served starts the plain HTTP server of a world and returns a function that asks it.
func (w *world) served() func(method, path, kind string, body []byte, header ...string) answer {
	w.t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.ServeHTTP(rw, r.WithContext(audit.WithSource(r.Context(), audit.Source{Request: requestID})))
	}))
	w.t.Cleanup(srv.Close)
	return func(method, path, kind string, body []byte, header ...string) answer {
		w.t.Helper()
		r, err := http.NewRequest(method, srv.URL+path, bytes.NewReader(body))
		w.check(err)
		r.Header.Set("Content-Type", kind)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := srv.Client().Do(r)
		w.check(err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		w.check(err)
		return answer{resp.StatusCode, resp.Header, got}
	}
}

const kind = "application/ocsp-request"

// requestID is the one that the server gives to each request of a test.
const requestID = "0123456789abcdef"

// spellings of a request in a path: as RFC 6960, appendix A.1 asks, and as clients
// write it that escape less.
func spellings(request []byte) []string {
	text := base64.StdEncoding.EncodeToString(request)
	return []string{
		ca.OCSPPath + "/" + url.QueryEscape(text), ca.OCSPPath + "/" + url.PathEscape(text), ca.OCSPPath + "/" + text,
		ca.OCSPPath + "/" + base64.RawStdEncoding.EncodeToString(request), ca.OCSPPath + "/" + base64.URLEncoding.EncodeToString(request), ca.OCSPPath + "/" + base64.RawURLEncoding.EncodeToString(request),
	}
}

func TestAnswerIsServed(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	l := w.issue("bot")
	ask, request := w.served(), w.request(l, crypto.SHA1)
	first := ask("POST", ca.OCSPPath, kind, request)
	got := []answer{first, ask("POST", ca.OCSPPath, kind+"; charset=binary", request)}
	for _, path := range spellings(request) {
		got = append(got, ask("GET", path, "", nil))
	}
	for i, a := range got {
		if parsed, err := xocsp.ParseResponseForCert(a.body, l.Certificate, w.IssuerOf(l.Credential.Issuer)); err != nil || parsed.Status != xocsp.Good || a.status != http.StatusOK {
			t.Errorf("%d: %d %x, %v", i, a.status, a.body, err)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/ocsp-response", "ETag": first.header.Get("ETag"), "Cache-Control": "public, no-cache, no-transform",
			"Last-Modified": start.Add(-30 * time.Second).Format(http.TimeFormat), "Expires": l.NotAfter.Format(http.TimeFormat),
		} {
			if a.header.Get(name) != want || want == "" {
				t.Errorf("%d: %s: %q, want %q", i, name, a.header.Get(name), want)
			}
		}
	}
	if head := ask("HEAD", spellings(request)[0], "", nil); head.status != http.StatusOK || len(head.body) != 0 || head.header.Get("ETag") != first.header.Get("ETag") {
		t.Errorf("HEAD: %d, %v", head.status, head.header)
	}
}

// TestCachesAskWhetherTheAnswerStands: a cache that revalidates learns of a revocation
// at once, even if it asks by date in the same second.
func TestCachesAskWhetherTheAnswerStands(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	l := w.issue("bot")
	ask, path := w.served(), spellings(w.request(l, crypto.SHA1))[0]
	first := ask("GET", path, "", nil)
	tag, date := first.header.Get("ETag"), first.header.Get("Last-Modified")
	if got := ask("GET", path, "", nil, "If-None-Match", tag); got.status != http.StatusNotModified || len(got.body) != 0 || got.header.Get("ETag") != tag {
		t.Errorf("got %d with %d octets, want 304", got.status, len(got.body))
	}
	w.revoke(l, agents.KeyCompromise)
	for _, condition := range [][]string{{"If-None-Match", tag}, {"If-Modified-Since", date}, {"If-None-Match", tag, "If-Modified-Since", date}} {
		got := ask("GET", path, "", nil, condition...)
		if parsed, err := xocsp.ParseResponseForCert(got.body, l.Certificate, nil); got.status != http.StatusOK || err != nil || parsed.Status != xocsp.Revoked {
			t.Errorf("after a revocation, %q: got %d, %+v, %v", condition, got.status, parsed, err)
		}
	}
}

// TestRefusalsAreUnsigned: they have five octets, and caches do not store them.
func TestRefusalsAreUnsigned(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	foreign := newWorld(t, keys.ECDSAP256)
	l, alien := w.issue("bot"), foreign.issue("bot")
	ask, request, stranger := w.served(), w.request(l, crypto.SHA1), foreign.request(alien, crypto.SHA1)
	text := base64.StdEncoding.EncodeToString(request)
	huge := make([]byte, 5<<10)
	for name, c := range map[string]struct {
		got     answer
		status  int
		meaning xocsp.ResponseStatus
	}{
		"nothing known":              {ask("POST", ca.OCSPPath, kind, stranger), 200, xocsp.Unauthorized},
		"nothing known, in the path": {ask("GET", spellings(stranger)[0], "", nil), 200, xocsp.Unauthorized},
		"of another type":            {ask("POST", ca.OCSPPath, "text/plain", request), 415, xocsp.Malformed},
		"of no type":                 {ask("POST", ca.OCSPPath, "", request), 415, xocsp.Malformed},
		"no request":                 {ask("POST", ca.OCSPPath, kind, []byte("hello")), 400, xocsp.Malformed},
		"an empty one":               {ask("POST", ca.OCSPPath, kind, nil), 400, xocsp.Malformed},
		"a long one":                 {ask("POST", ca.OCSPPath, kind, huge), 400, xocsp.Malformed},
		"a long path":                {ask("GET", spellings(huge)[2], "", nil), 400, xocsp.Malformed},
		"an empty path":              {ask("GET", ca.OCSPPath+"/", "", nil), 400, xocsp.Malformed},
		"base64 in two lines":        {ask("GET", ca.OCSPPath+"/"+text[:8]+"%0A"+url.PathEscape(text[8:]), "", nil), 400, xocsp.Malformed},
		"base64url":                  {ask("GET", ca.OCSPPath+"/"+text[:8]+"_"+url.PathEscape(text[9:]), "", nil), 400, xocsp.Malformed},
		"base64 escaped twice":       {ask("GET", ca.OCSPPath+"/"+url.PathEscape(url.QueryEscape(text+"==")), "", nil), 400, xocsp.Malformed},
	} {
		_, err := xocsp.ParseResponse(c.got.body, nil)
		if refused, ok := err.(xocsp.ResponseError); !ok || refused.Status != c.meaning || c.got.status != c.status || len(c.got.body) != 5 {
			t.Errorf("%s: %d %x, %v; want %d, %v", name, c.got.status, c.got.body, err, c.status, c.meaning)
		}
		if h := c.got.header; h.Get("Cache-Control") != "no-store" || h.Get("ETag") != "" || h.Get("Content-Type") != "application/ocsp-response" {
			t.Errorf("%s: %v", name, h)
		}
	}
}

// TestOperatorLearnsWhyAnAnswerFailed, and nobody else.
func TestOperatorLearnsWhyAnAnswerFailed(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	var log strings.Builder
	w.Responder = ocsp.NewResponder(w.DB, w.CA, w.crl, w.Clock(), slog.New(slog.NewTextHandler(&log, nil)))
	l := w.issue("bot")
	ask, request := w.served(), w.request(l, crypto.SHA1)
	w.check(w.DB.Close())
	got := ask("POST", ca.OCSPPath, kind, request)
	_, err := xocsp.ParseResponse(got.body, nil)
	if refused, ok := err.(xocsp.ResponseError); !ok || refused.Status != xocsp.InternalError || got.status != http.StatusInternalServerError {
		t.Errorf("%d %x, %v", got.status, got.body, err)
	}
	if said := log.String(); !strings.Contains(said, requestID) || !strings.Contains(said, "closed") {
		t.Errorf("the log says %q", said)
	}
}
