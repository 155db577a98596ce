package server_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestMetricsAreNotForStrangers: they are on the operators' socket and at listen_metrics,
// and a request for them elsewhere is answered like one for any path that does not exist.
func TestMetricsAreNotForStrangers(t *testing.T) {
	w := servertest.New(t)
	own := servertest.FreeAddress(t)
	w.Configure("listen_metrics: " + own + "\n")
	bot := w.Enroll("bot", agents.Change{})
	counted := "brevet_requests_total{route=\"POST /v1/enroll\",status=\"200\"} 1\n"
	fetch := func(c *http.Client, url string) servertest.Answer {
		t.Helper()
		return servertest.Read(w, must1(c.Get(url))(t))
	}
	for who, c := range map[string]*http.Client{"a stranger": w.Client(), "an agent": w.Client(tls.Certificate{Certificate: [][]byte{bot.Leaf.Raw}, PrivateKey: bot.Key})} {
		for _, base := range []string{w.URL, w.HTTP} {
			got, none := fetch(c, base+"/metrics"), fetch(c, base+"/nothing")
			if got.Status != http.StatusNotFound || got.Body != none.Body {
				t.Errorf("%s, %s: %d %.100q, want as for a path that does not exist: %d %.100q", who, base, got.Status, got.Body, none.Status, none.Body)
			}
		}
	}
	if text := w.Metrics(); !strings.Contains(text, counted) {
		t.Errorf("operators read %s", text)
	}
	got := fetch(http.DefaultClient, "http://"+own+"/metrics")
	if got.Status != http.StatusOK || !strings.Contains(got.Body, counted) || got.Header.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("at listen_metrics: %d %v %s", got.Status, got.Header, got.Body)
	}
	for _, path := range []string{"/", "/agents", "/status", "/roots.pem", "/crl/bundle.pem", "/backup"} {
		if got := fetch(http.DefaultClient, "http://"+own+path); got.Status != http.StatusNotFound {
			t.Errorf("at listen_metrics, %s: %d %s", path, got.Status, got.Body)
		}
	}
}

// TestMetricsOfAnEmbeddedServer: a program brings a listener for them, or mounts the handler.
func TestMetricsOfAnEmbeddedServer(t *testing.T) {
	mine := must1(net.Listen("tcp", "127.0.0.1:0"))(t)
	s := must1(server.New(server.Config{Dir: newAuthority(t), Log: slog.New(slog.DiscardHandler), Listeners: &server.Listeners{Metrics: mine}}))(t)
	run(t, s)
	resp := must1(http.Get("http://" + mine.Addr().String() + "/metrics"))(t)
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), "brevet_audit_events ") {
		t.Errorf("on the program's listener: %s %s, %v", resp.Status, text, err)
	}
	if got := asked(s.MetricsHandler(), "GET", "http://authority/metrics", nil); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "brevet_audit_events ") {
		t.Errorf("from the handler: %d %s", got.Code, got.Body)
	}
	if got := asked(s.Handler(), "GET", "https://authority/metrics", nil); got.Code != http.StatusNotFound {
		t.Errorf("from the handler for agents: %d %s", got.Code, got.Body)
	}
}
