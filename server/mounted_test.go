package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
)

// embed runs a server without listeners, and returns it once it is ready. The test may
// stop it and wait for what Run returns.
func embed(t *testing.T, c server.Config) (s *server.Server, stop func(), done <-chan error) {
	t.Helper()
	s = newEmbedded(t, c)
	stop, done = run(t, s)
	return s, stop, done
}

func newEmbedded(t *testing.T, c server.Config) *server.Server {
	t.Helper()
	c.Log, c.Listeners = slog.New(slog.DiscardHandler), &server.Listeners{}
	return must1(server.New(c))(t)
}

func run(t *testing.T, s *server.Server) (stop func(), done <-chan error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	select {
	case <-s.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	return stop, ended
}

// newAuthority makes an authority and returns its directory.
func newAuthority(t *testing.T) string {
	t.Helper()
	config := initConfig(t)
	if _, err := server.Init(t.Context(), config, time.Now()); err != nil {
		t.Fatal(err)
	}
	return config.Dir
}

// asked returns what a handler answers.
func asked(h http.Handler, method, url string, body io.Reader) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, url, body)
	r.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(w, r)
	return w
}

// problem checks that an answer is a problem document that says because.
func problem(t *testing.T, what string, w *httptest.ResponseRecorder, status int, because string) {
	t.Helper()
	var doc struct {
		Status int
		Detail string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != status || doc.Status != status || !strings.Contains(doc.Detail, because) ||
		w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: got %d %s %v, want the problem %d that says %q", what, w.Code, w.Body, err, status, because)
	}
}

// TestMountedHandlersAnswerWhileTheServerRuns, neither before it is ready nor once it
// began to stop. Run waits for the requests in flight.
func TestMountedHandlersAnswerWhileTheServerRuns(t *testing.T) {
	s := newEmbedded(t, server.Config{Dir: newAuthority(t)})
	agents, public := s.Handler(), s.PublicHandler()
	closed := func(when string) {
		t.Helper()
		problem(t, "agents "+when, asked(agents, "POST", "https://authority/v1/enroll", strings.NewReader("{}")), 503, "not ready")
		problem(t, "strangers without TLS "+when, asked(agents, "GET", "/healthz", nil), 503, "not ready")
		problem(t, "the public "+when, asked(public, "GET", "/healthz", nil), 503, "not ready")
	}
	closed("before Run")
	stop, done := run(t, s)
	for _, h := range []http.Handler{agents, public} {
		if w := asked(h, "GET", "https://authority/readyz", nil); w.Code != http.StatusOK {
			t.Errorf("ready, and yet: %d %s", w.Code, w.Body)
		}
	}
	body, rest := io.Pipe()
	slow := make(chan *httptest.ResponseRecorder)
	go func() { slow <- asked(agents, "POST", "https://authority/v1/enroll", body) }()
	rest.Write([]byte("{")) // returns once the handler has read it
	stop()
	for asked(public, "GET", "/healthz", nil).Code == http.StatusOK {
		time.Sleep(time.Millisecond)
	}
	closed("while it stops")
	select {
	case err := <-done:
		t.Errorf("Run ended before the request in flight: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	rest.Close()
	problem(t, "the request in flight", <-slow, 400, "")
	if err := <-done; err != nil {
		t.Error(err)
	}
	closed("after Run")
}

// TestAgentsNeedTLS unless the program says that a proxy spoke it with them. Public,
// signed documents do not need it.
func TestAgentsNeedTLS(t *testing.T) {
	dir := newAuthority(t)
	s, stop, done := embed(t, server.Config{Dir: dir})
	for _, path := range []string{"/v1/enroll", "/oauth/token", "/healthz", "/nothing"} {
		problem(t, path, asked(s.Handler(), "POST", path, strings.NewReader("{}")), http.StatusMisdirectedRequest, "needs TLS")
	}
	if w := asked(s.PublicHandler(), "GET", "/healthz", nil); w.Code != http.StatusOK {
		t.Errorf("the public handler: %d %s", w.Code, w.Body)
	}
	stop()
	<-done
	s, _, _ = embed(t, server.Config{Dir: dir, BehindTLS: true})
	problem(t, "behind a proxy", asked(s.Handler(), "POST", "/v1/enroll", strings.NewReader("{}")), 401, "")
	if w := asked(s.Handler(), "GET", "/healthz", nil); w.Code != http.StatusOK {
		t.Errorf("behind a proxy: %d %s", w.Code, w.Body)
	}
}
