package telemetry

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage/audit"
)

// TestTraceparent: W3C Trace Context, section 3.2. A malformed one is ignored.
func TestTraceparent(t *testing.T) {
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{"00-" + id + "-" + parent + "-01"}, id},
		{[]string{"00-" + id + "-" + parent + "-00"}, id},
		{[]string{"cc-" + id + "-" + parent + "-01"}, id},
		{[]string{"cc-" + id + "-" + parent + "-01-what-comes-later"}, id},
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"00-" + id + "-" + parent + "-01", "00-" + id + "-" + parent + "-01"}, ""},
		{[]string{"00-" + id + "-" + parent}, ""},
		{[]string{"00-" + id + "-" + parent + "-1"}, ""},
		{[]string{"00-" + id + "-" + parent + "-01-more"}, ""},
		{[]string{"00-" + id + "-" + parent + "-01 "}, ""},
		{[]string{"cc-" + id + "-" + parent + "-01.more"}, ""},
		{[]string{"ff-" + id + "-" + parent + "-01"}, ""},
		{[]string{"00-" + strings.ToUpper(id) + "-" + parent + "-01"}, ""},
		{[]string{"00-" + strings.Repeat("0", 32) + "-" + parent + "-01"}, ""},
		{[]string{"00-" + id + "-" + strings.Repeat("0", 16) + "-01"}, ""},
		{[]string{"00-" + id + "-" + parent + "-0x"}, ""},
		{[]string{"00_" + id + "-" + parent + "-01"}, ""},
		{[]string{"0\n-" + id + "-" + parent + "-01"}, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Traceparent"] = c.values
		var log bytes.Buffer
		var got string
		NewMetrics(nil).Observe(slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = audit.SourceOf(r.Context()).Trace
		})).ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want || strings.Contains(log.String(), "trace="+id) != (c.want != "") {
			t.Errorf("%q: got %q, want %q; the log has %s", c.values, got, c.want, log.String())
		}
	}
}

// FuzzTraceparent: what is taken is the trace-id of a header that has one form.
func FuzzTraceparent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x")
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Traceparent"] = []string{value}
		if id := traceOf(r).id; id != "" && (len(id) != 32 || !lowerHex(id) || value[3:35] != id) {
			t.Errorf("%q has the trace-id %q", value, id)
		}
	})
}

// TestSpans: a request is traced if the client records its trace, with the route and not the
// path.
func TestSpans(t *testing.T) {
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	m := NewMetrics(nil)
	var got []Span
	m.Traced = func(s Span) { got = append(got, s) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token/{secret}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := m.Observe(slog.New(slog.DiscardHandler), mux)
	var ids []string
	for _, value := range []string{"00-" + id + "-" + parent + "-01", "00-" + id + "-" + parent + "-00", "", "00-" + id + "-" + parent + "-03"} {
		r, w := httptest.NewRequest("GET", "/token/abc?q=def", nil), httptest.NewRecorder()
		r.Header.Set("Traceparent", value)
		h.ServeHTTP(w, r)
		ids = append(ids, w.Header().Get("X-Request-Id"))
	}
	if len(got) != 2 || got[1].ID != ids[3] {
		t.Fatalf("got %+v", got)
	}
	s := got[0]
	if s.Begin.IsZero() || s.End.Before(s.Begin) {
		t.Errorf("it took from %v to %v", s.Begin, s.End)
	}
	s.Begin, s.End = time.Time{}, time.Time{}
	if want := (Span{Trace: id, ID: ids[0], Parent: parent, Method: "GET", Route: "GET /token/{secret}", Status: http.StatusTeapot}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}
