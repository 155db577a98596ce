package crl

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzRequest: whoever asks for a list, in whatever way, gets the one of that
// issuer, whole or the part asked for, or is told the truth about why not. Only
// who has this very list is told that nothing has changed.
func FuzzRequest(f *testing.F) {
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	crls := []*CRL{
		{Issuer: strings.Repeat("ab", 20), Number: 7, ThisUpdate: at, NextUpdate: at.Add(Lifetime), DER: []byte("the list of the active issuer")},
		{Issuer: strings.Repeat("cd", 20), Number: 8, ThisUpdate: at, NextUpdate: at.Add(Lifetime), DER: []byte("the list of the retired issuer"), sameDate: true},
	}
	p := &Publisher{}
	p.current.Store(&crls)
	mux := http.NewServeMux()
	mux.Handle("GET /crl/{file}", p) // as in package server
	active := "/crl/" + crls[0].Issuer + ".crl"
	for _, path := range []string{
		active, "/crl/" + crls[1].Issuer + ".crl", strings.ToUpper(active), active + "/", "/crl/" + crls[0].Issuer, "/crl//" + crls[0].Issuer + ".crl", "/crl/../crl/" + crls[0].Issuer + ".crl",
		"/crl/%61" + active[6:], "/crl/" + crls[0].Issuer + ".crl%00", "/crl/.crl", "/crl/" + crls[0].Issuer + "%2f" + crls[1].Issuer + ".crl", active + "?x=" + crls[1].Issuer, "*", "http://other" + active,
	} {
		f.Add("GET", path, "X: y")
	}
	f.Add("HEAD", active, "Range: bytes=0-3")
	f.Add("POST", active, "Content-Length: 0")
	for _, header := range []string{
		`If-None-Match: "7"`, `If-None-Match: W/"7"`, `If-None-Match: "8", "7"`, "If-None-Match: *", `If-None-Match: "70"`, `If-Match: "6"`, "If-Modified-Since: Sat, 14 Mar 2026 15:09:26 GMT",
		"If-Modified-Since: Sat, 14 Mar 2099 15:09:26 GMT", "If-Unmodified-Since: Sat, 14 Mar 2020 15:09:26 GMT", "Range: bytes=0-3", "Range: bytes=5-4", "Range: bytes=-1,0-0,3-", "Range: bytes=99-", "If-Range: \"7\"\r\nRange: bytes=1-2",
		"Accept: text/plain", "X-Forwarded-For: ::1",
	} {
		f.Add("GET", active, header)
	}
	f.Fuzz(func(t *testing.T, method, path, header string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + path + " HTTP/1.1\r\nHost: authority\r\n" + header + "\r\n\r\n")))
		if err != nil {
			return
		}
		asked := r.Header.Clone() // the handler may drop some
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		got := w.Result()
		i := slices.IndexFunc(crls, func(c *CRL) bool { return r.URL.Path == "/crl/"+c.Issuer+".crl" })
		listed := got.Header.Get("Content-Type") == "application/pkix-crl" || got.Header.Get("ETag") != ""
		if i < 0 || method != "GET" && method != "HEAD" {
			if listed || got.StatusCode == http.StatusOK || got.StatusCode >= 500 {
				t.Errorf("%s %s: %d %s", method, path, got.StatusCode, w.Body)
			}
			return
		}
		c := crls[i]
		switch got.StatusCode {
		case http.StatusOK:
			if method == "GET" && !bytes.Equal(w.Body.Bytes(), c.DER) || got.Header.Get("ETag") != `"`+string(rune('0'+c.Number))+`"` || got.Header.Get("Content-Type") != "application/pkix-crl" {
				t.Errorf("%s %s, %q: %v %s", method, path, header, got.Header, w.Body)
			}
		case http.StatusNotModified:
			same := slices.ContainsFunc(asked.Values("If-None-Match"), func(v string) bool {
				return strings.Contains(v, `"`+string(rune('0'+c.Number))+`"`) || strings.Contains(v, "*")
			})
			date := asked.Get("If-Modified-Since") == c.ThisUpdate.Format(http.TimeFormat) && !c.sameDate
			if !same && !date {
				t.Errorf("%s, %q: not modified, it says", path, header)
			}
		case http.StatusPartialContent:
			if strings.HasPrefix(got.Header.Get("Content-Type"), "multipart/") {
				break
			}
			if asked.Get("Range") == "" || !bytes.Contains(c.DER, w.Body.Bytes()) {
				t.Errorf("%s, %q: a part %q", path, header, w.Body)
			}
		case http.StatusRequestedRangeNotSatisfiable:
			if asked.Get("Range") == "" {
				t.Errorf("%s, %q: %d", path, header, got.StatusCode)
			}
		case http.StatusPreconditionFailed:
			if asked.Get("If-Match") == "" && asked.Get("If-Unmodified-Since") == "" {
				t.Errorf("%s, %q: %d", path, header, got.StatusCode)
			}
		case http.StatusMovedPermanently, http.StatusTemporaryRedirect: // a path that was not clean
			if to := got.Header.Get("Location"); path == to || listed {
				t.Errorf("%s is redirected to %s", path, to)
			}
		default:
			t.Errorf("%s %s, %q: %d %s", method, path, header, got.StatusCode, w.Body)
		}
		if method == "HEAD" && w.Body.Len() > 0 && got.StatusCode == http.StatusOK {
			t.Logf("HEAD has a body: package http drops it")
		}
	})
}
