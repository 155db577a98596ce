package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
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
