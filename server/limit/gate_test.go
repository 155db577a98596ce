package limit

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents/admission"
)

type recorder struct{ *httptest.ResponseRecorder }

func (r recorder) Status() int { return r.Code }

// TestAskAgainIsNoFailure: an answer that says when to ask again counts against nobody.
func TestAskAgainIsNoFailure(t *testing.T) {
	for _, c := range []struct {
		status  int
		retry   string
		limited bool
	}{{401, "", true}, {400, "", true}, {404, "", true}, {200, "", false}, {503, "5", false}, {503, "", false}, {400, "60", false}, {403, "60", false}} {
		g := Gate{admission.New(time.Now)}
		over := false
		h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.retry != "" {
				w.Header().Set("Retry-After", c.retry)
			}
			over = admission.Of(r.Context()).Over()
			w.WriteHeader(c.status)
		}))
		for range 60 {
			h.ServeHTTP(recorder{httptest.NewRecorder()}, httptest.NewRequest("POST", "/", nil))
		}
		if over != c.limited {
			t.Errorf("after many of %d, Retry-After %q: over its limit: %v", c.status, c.retry, over)
		}
	}
}

// TestHeldRequestsAreCounted: requests that are open at the same time use up the
// limit as well as those that come one after the other.
func TestHeldRequestsAreCounted(t *testing.T) {
	g := Gate{admission.New(time.Now)}
	const n = 400
	listened := 0
	var open func(int)
	open = func(more int) {
		g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !admission.Of(r.Context()).Over() {
				listened++
			}
			if more > 0 {
				open(more - 1) // before this one ends
			}
			w.WriteHeader(401)
		})).ServeHTTP(recorder{httptest.NewRecorder()}, httptest.NewRequest("POST", "/", nil))
	}
	open(n)
	if listened < 50 || listened > 60 {
		t.Errorf("%d of %d requests held open were within the limit, want 50", listened, n)
	}
}

func TestAddressOfAClient(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1", "[::ffff:10.0.0.1]:80": "10.0.0.1", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::", "[2001:db8:1:2::9]:80": "2001:db8:1:2::", "[fe80::1%eth0]:80": "fe80::", "@": "invalid IP", "": "invalid IP",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		if got := fmt.Sprint(Address(r)); got != want {
			t.Errorf("%q counts as %s, want %s", remote, got, want)
		}
	}
}
