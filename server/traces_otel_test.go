//go:build otel

package server_test

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/brevet-ca/brevet/server"
)

// TestTracesReachTheCollector: a request of a trace becomes a span below the client's, which
// is sent when the server stops at the latest, and holds nothing that is secret.
func TestTracesReachTheCollector(t *testing.T) {
	const secret = "client_secret=hunter2-hunter2"
	got := make(chan *trace.TracesData, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		spans := new(trace.TracesData)
		if err != nil || proto.Unmarshal(text, spans) != nil || strings.Contains(string(text), "hunter2") {
			t.Errorf("%v: %q", err, text)
		}
		got <- spans
	}))
	defer collector.Close()
	config := initConfig(t)
	config.ListenHTTP = "127.0.0.1:0"
	if _, err := server.Init(t.Context(), config, time.Time{}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(config.Dir, "brevet.yaml")
	text := must1(os.ReadFile(name))(t)
	if err := os.WriteFile(name, append(text, "telemetry: {otlp: '"+collector.URL+"'}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	listener := must1(net.Listen("tcp", "127.0.0.1:0"))(t)
	s := must1(server.New(server.Config{Dir: config.Dir, Log: slog.New(slog.DiscardHandler), Listeners: &server.Listeners{HTTPS: listener}}))(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	r := httptest.NewRequest("POST", "https://authority/oauth/token?"+secret, strings.NewReader(secret))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	select {
	case all := <-got:
		span := all.ResourceSpans[0].ScopeSpans[0].Spans[0]
		if hex.EncodeToString(span.TraceId) != "0af7651916cd43dd8448eb211c80319c" || hex.EncodeToString(span.ParentSpanId) != "b7ad6b7169203331" ||
			hex.EncodeToString(span.SpanId) != w.Header().Get("X-Request-Id") || span.Name != "POST /oauth/token" {
			t.Errorf("got %v", span)
		}
	default:
		t.Error("the collector has no span")
	}
}
