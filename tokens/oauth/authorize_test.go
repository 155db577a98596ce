package oauth_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestAuthorizeRefusesAll: whatever is asked, the answer is a page and never a redirect,
// and it shows nothing of the request.
func TestAuthorizeRefusesAll(t *testing.T) {
	w := newWorld(t)
	client := w.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	const query = "?response_type=code&client_id=reader&redirect_uri=https%3A%2F%2Fevil.example&state=%3Cscript%3E"
	for _, c := range []struct{ method, path string }{{"GET", ""}, {"GET", query}, {"POST", ""}, {"POST", query}, {"HEAD", query}} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, w.URL+"/oauth/authorize"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4096)
		n, _ := resp.Body.Read(got)
		resp.Body.Close()
		page := string(got[:n])
		if h := resp.Header; resp.StatusCode != http.StatusBadRequest || h.Get("Location") != "" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
			t.Errorf("%s %s: %s, %v", c.method, c.path, resp.Status, h)
		}
		if c.method != "HEAD" && !strings.Contains(page, "No client is registered") || strings.Contains(page, "evil") || strings.Contains(page, "script") {
			t.Errorf("%s %s: %s", c.method, c.path, page)
		}
	}
}
