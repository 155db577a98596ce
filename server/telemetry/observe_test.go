package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAbortedAnswersAreCutOff is about lists and backups that fail half way:
// whoever reads them must not take the half for the whole.
func TestAbortedAnswersAreCutOff(t *testing.T) {
	m := NewMetrics(nil)
	for name, written := range map[string]string{"at once": "", "half way": "one line of two\n"} {
		srv := httptest.NewServer(m.Observe(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, written)
			panic(http.ErrAbortHandler)
		})))
		resp, err := srv.Client().Get(srv.URL)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer looks whole", name)
		}
		srv.Close()
	}
}

// TestCallersSeeTheRoute: Observe serves a copy of the request, and whoever calls it
// knows the route all the same.
func TestCallersSeeTheRoute(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /agents/{name}", func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest("GET", "/agents/bot", nil)
	NewMetrics(nil).Observe(slog.New(slog.DiscardHandler), mux).ServeHTTP(httptest.NewRecorder(), r)
	if r.Pattern != "GET /agents/{name}" {
		t.Errorf("the route is %q", r.Pattern)
	}
}
