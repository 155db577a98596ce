package telemetry

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestStrangersFillNoLog: a client that proves no identity leaves few lines, whatever the answers, and
// hides neither those with another kind of answer nor those who prove one.
func TestStrangersFillNoLog(t *testing.T) {
	var log bytes.Buffer
	h := NewMetrics(nil).Observe(slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/agent":
			w.(interface{ Prove() }).Prove()
		case "/refused":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	begin := time.Now()
	for range 1000 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	for _, path := range []string{"/refused", "/agent"} {
		for range 100 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", path, nil))
		}
	}
	most := sampledLines * (int(time.Since(begin)/time.Second) + 2)
	text := log.String()
	if n := strings.Count(text, "method=GET"); n == 0 || n > most {
		t.Errorf("%d lines about strangers, want at most %d", n, most)
	}
	if n := strings.Count(text, "status=401"); n == 0 || n > most {
		t.Errorf("%d lines about refused strangers, want at most %d", n, most)
	}
	if n := strings.Count(text, "method=PUT") - strings.Count(text, "status=401"); n != 100 {
		t.Errorf("%d lines about agents, want 100", n)
	}
}

// TestTurnedAwayFillNoLog: whoever goes on asking after a limit leaves few lines in the log.
func TestTurnedAwayFillNoLog(t *testing.T) {
	var log bytes.Buffer
	h := NewMetrics(nil).Observe(slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	begin := time.Now()
	for range 1000 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	seconds := int(time.Since(begin)/time.Second) + 1
	if lines := bytes.Count(log.Bytes(), []byte("\n")); lines == 0 || lines > sampledLines*(seconds+1) {
		t.Errorf("%d lines in %d s", lines, seconds)
	}
}

// TestTurnedAwayAreCounted: a line says how many before it are missing.
func TestTurnedAwayAreCounted(t *testing.T) {
	var turned sampler
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	lines, missing := 0, 0
	for range 105 {
		more, ok := turned.line(now)
		if ok {
			lines++
		}
		missing += more
	}
	if lines != sampledLines || missing != 0 {
		t.Errorf("in one second %d lines, which tell of %d others", lines, missing)
	}
	if more, ok := turned.line(now.Add(time.Second)); !ok || more != 95 {
		t.Errorf("a second later: a line %t, which tells of %d others, want 95", ok, more)
	}
	if _, ok := turned.line(now.Add(-time.Hour)); !ok {
		t.Error("no line after the clock was set back")
	}
}
