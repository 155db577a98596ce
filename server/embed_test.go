package server_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// TestListenersOfTheCaller: what they bring is served and closed, what they do not
// bring is theirs to mount, and nothing listens where brevet.yaml says.
func TestListenersOfTheCaller(t *testing.T) {
	config := initConfig(t)
	taken := must1(net.Listen("tcp", "127.0.0.1:0"))(t) // so that listening there would fail
	defer taken.Close()
	config.Listen, config.ListenHTTP = taken.Addr().String(), taken.Addr().String()
	if _, err := server.Init(t.Context(), config, time.Now()); err != nil {
		t.Fatal(err)
	}
	mine := must1(net.Listen("tcp", "127.0.0.1:0"))(t)
	s := must1(server.New(server.Config{Dir: config.Dir, Log: slog.New(slog.DiscardHandler), Listeners: &server.Listeners{HTTPS: mine}}))(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	web := http.NewServeMux()
	web.Handle("/", s.PublicHandler())
	public := httptest.NewServer(web)
	defer public.Close()
	other := must1(net.Listen("tcp", "127.0.0.1:0"))(t)
	own := &http.Server{Handler: s.Handler(), TLSConfig: s.TLSConfig()}
	defer own.Close()
	go own.ServeTLS(other, "", "")
	get(t, http.DefaultTransport, public.URL+"/healthz", "ok\n")
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "https://authority/roots.pem", nil))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(answer.Body.Bytes())
	trusting := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer trusting.CloseIdleConnections()
	get(t, trusting, "https://"+mine.Addr().String()+"/readyz", "ok\n")
	get(t, trusting, "https://"+other.Addr().String()+"/readyz", "ok\n")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := mine.Accept(); err == nil {
		t.Error("the listener is left open")
	}
}

// get fetches what a handler answers.
func get(t *testing.T, by http.RoundTripper, url, want string) {
	t.Helper()
	resp, err := (&http.Client{Transport: by}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != want {
		t.Errorf("%s: %d %q %v", url, resp.StatusCode, text, err)
	}
}

// TestAdminInside: a program acts as at the socket, while the server serves, and only with a
// name and a role that exist.
func TestAdminInside(t *testing.T) {
	config := initConfig(t)
	config.Listen, config.ListenHTTP = "127.0.0.1:0", "127.0.0.1:0"
	if _, err := server.Init(t.Context(), config, time.Time{}); err != nil {
		t.Fatal(err)
	}
	listener := must1(net.Listen("tcp", "127.0.0.1:0"))(t)
	s := must1(server.New(server.Config{Dir: config.Dir, Log: slog.New(slog.DiscardHandler), Listeners: &server.Listeners{HTTPS: listener}}))(t)
	for _, o := range []server.Operator{{Role: "admin"}, {Name: "Alice"}, {Name: "alice", Role: "root"}} {
		if _, err := s.Admin(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	self, viewer := must1(s.Admin(server.Operator{}))(t), must1(s.Admin(server.Operator{Name: "alice"}))(t)
	refusal := func(err error) int {
		var refused *api.Error
		errors.As(err, &refused)
		return cmp.Or(refused, &api.Error{}).Status
	}
	if _, err := self.Status(t.Context()); refusal(err) != http.StatusServiceUnavailable {
		t.Errorf("before it serves: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	owner := "me"
	if _, err := viewer.AddAgent(t.Context(), "a", api.Change{Owner: &owner}); refusal(err) != http.StatusForbidden {
		t.Errorf("a viewer adds an agent: %v", err)
	}
	if _, err := self.AddAgent(t.Context(), "a", api.Change{Owner: &owner}); err != nil {
		t.Error(err)
	}
	var metrics, copied strings.Builder
	if err := errors.Join(viewer.Metrics(t.Context(), &metrics), self.Backup(t.Context(), &copied)); err != nil || metrics.Len() == 0 || copied.Len() == 0 {
		t.Errorf("%d octets of metrics, %d of a backup, %v", metrics.Len(), copied.Len(), err)
	}
	tail := make(chan error, 1)
	go func() {
		tail <- viewer.Events(t.Context(), api.EventFilter{Follow: true, From: 1}, func(json.RawMessage) error { stop(); return nil })
	}()
	if err := errors.Join(<-tail, <-done); err != nil {
		t.Error(err)
	}
	if _, err := self.Status(t.Context()); refusal(err) != http.StatusServiceUnavailable {
		t.Errorf("after it served: %v", err)
	}
}
