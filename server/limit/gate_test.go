package limit

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

type recorder struct{ *httptest.ResponseRecorder }

func (r recorder) Status() int { return r.Code }

// TestAskAgainIsNoFailure: an answer that says when to ask again counts against nobody.
func TestAskAgainIsNoFailure(t *testing.T) {
	for _, c := range []struct {
		status  int
		retry   string
		blocked bool
	}{{401, "", true}, {400, "", true}, {503, "5", false}, {503, "", false}, {400, "60", false}, {403, "60", false}} {
		g := Gate{Limiter: New(time.Now), Proven: func(*http.Request) agents.Name { return "" }, Refuse: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }}
		h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.retry != "" {
				w.Header().Set("Retry-After", c.retry)
			}
			w.WriteHeader(c.status)
		}))
		var last recorder
		for range failureBurst + 2 {
			last = recorder{httptest.NewRecorder()}
			h.ServeHTTP(last, httptest.NewRequest("POST", "/", nil))
		}
		if (last.Code == 429) != c.blocked {
			t.Errorf("after many of %d, Retry-After %q: %d", c.status, c.retry, last.Code)
		}
	}
}
