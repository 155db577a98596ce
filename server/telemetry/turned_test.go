package telemetry

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

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
	if lines := bytes.Count(log.Bytes(), []byte("\n")); lines == 0 || lines > turnedAwayLines*(seconds+1) {
		t.Errorf("%d lines in %d s", lines, seconds)
	}
}

// TestTurnedAwayAreCounted: a line says how many before it are missing.
func TestTurnedAwayAreCounted(t *testing.T) {
	var turned turnedAway
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	lines, missing := 0, 0
	for range 105 {
		more, ok := turned.line(now)
		if ok {
			lines++
		}
		missing += more
	}
	if lines != turnedAwayLines || missing != 0 {
		t.Errorf("in one second %d lines, which tell of %d others", lines, missing)
	}
	if more, ok := turned.line(now.Add(time.Second)); !ok || more != 95 {
		t.Errorf("a second later: a line %t, which tells of %d others, want 95", ok, more)
	}
	if _, ok := turned.line(now.Add(-time.Hour)); !ok {
		t.Error("no line after the clock was set back")
	}
}
