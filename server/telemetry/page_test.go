package telemetry

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage/audit"
)

func read(m *Metrics) string {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// TestHistogram: each class counts what is in it and in those below (the text format, 0.0.4).
func TestHistogram(t *testing.T) {
	m := NewMetrics(nil)
	for _, took := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, time.Minute} {
		m.count("GET /x", 200, took)
	}
	for _, line := range []string{
		`brevet_requests_total{route="GET /x",status="200"} 4`, `brevet_request_seconds_bucket{route="GET /x",le="0.001"} 2`, `brevet_request_seconds_bucket{route="GET /x",le="0.005"} 3`,
		`brevet_request_seconds_bucket{route="GET /x",le="10"} 3`, `brevet_request_seconds_bucket{route="GET /x",le="+Inf"} 4`,
		`brevet_request_seconds_sum{route="GET /x"} 60.004`, `brevet_request_seconds_count{route="GET /x"} 4`, "# TYPE brevet_request_seconds histogram",
	} {
		if text := read(m); !strings.Contains(text, line+"\n") {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
}

// TestReasonsAreBounded: a policy engine of another program may have any codes.
func TestReasonsAreBounded(t *testing.T) {
	m := NewMetrics(nil)
	for i := range 1000 {
		m.Decided(audit.TokenMint, true, fmt.Sprintf("code_%d", i))
	}
	m.Decided(audit.TokenMint, true, "a \"text\"\nof two lines")
	m.Decided(audit.TokenMint, true, "")
	m.Decided("no.such.action", true, "x")
	text := read(m)
	if n := strings.Count(text, "brevet_refused_total{"); n != maxReasons+1 || !strings.Contains(text, fmt.Sprintf(`brevet_refused_total{kind="token",reason="other"} %d`, 1002-maxReasons)) {
		t.Errorf("%d series of refusals:\n%s", n, text)
	}
}

func TestLabelsAreEscaped(t *testing.T) {
	var p Page
	p.Gauge("x", "What.", Value(1.5, "a", "back\\slash \"quoted\"\nline", "b", ""))
	if want := "# HELP x What.\n# TYPE x gauge\nx{a=\"back\\\\slash \\\"quoted\\\"\\nline\",b=\"\"} 1.5\n"; p.b.String() != want {
		t.Errorf("got %s, want %s", p.b.String(), want)
	}
}
