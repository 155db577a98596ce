package otlp

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/brevet-ca/brevet/server/telemetry"
)

var begin = time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)

func aSpan() telemetry.Span {
	return telemetry.Span{
		Trace: "0af7651916cd43dd8448eb211c80319c", ID: "00f067aa0ba902b7", Parent: "b7ad6b7169203331",
		Method: "POST", Route: "POST /oauth/token", Status: 503, Begin: begin, End: begin.Add(time.Millisecond),
	}
}

// TestEncoding: the protobuf that OpenTelemetry generated reads what is sent, and knows
// every field of it.
func TestEncoding(t *testing.T) {
	fine := aSpan()
	fine.Status, fine.Route = 200, ""
	text := encode([]telemetry.Span{aSpan(), fine}, From{"example.internal", "v1"})
	var got trace.TracesData // an ExportTraceServiceRequest has the same form
	if err := proto.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(&got)
	if err != nil || len(again) != len(text) {
		t.Errorf("%d octets became %d, %v", len(text), len(again), err)
	}
	all := got.ResourceSpans[0]
	if len(all.Resource.Attributes) != 3 || all.Resource.Attributes[0].Key != "service.name" || all.Resource.Attributes[0].Value.GetStringValue() != "brevet" {
		t.Errorf("the resource is %v", all.Resource)
	}
	spans := all.ScopeSpans[0].Spans
	s := spans[0]
	if hex.EncodeToString(s.TraceId) != aSpan().Trace || hex.EncodeToString(s.SpanId) != aSpan().ID || hex.EncodeToString(s.ParentSpanId) != aSpan().Parent {
		t.Errorf("got the identifiers of %v", s)
	}
	if s.Name != "POST /oauth/token" || s.Kind != trace.Span_SPAN_KIND_SERVER || s.Status.Code != trace.Status_STATUS_CODE_ERROR ||
		s.StartTimeUnixNano != uint64(begin.UnixNano()) || s.EndTimeUnixNano-s.StartTimeUnixNano != 1e6 || s.Flags != 0x301 {
		t.Errorf("got %v", s)
	}
	if len(s.Attributes) != 3 || s.Attributes[1].Value.GetStringValue() != "POST /oauth/token" || s.Attributes[2].Value.GetIntValue() != 503 {
		t.Errorf("got the attributes %v", s.Attributes)
	}
	if spans[1].Status != nil || spans[1].Name != "POST" || len(spans[1].Attributes) != 2 {
		t.Errorf("got %v", spans[1])
	}
}

// TestQueueIsBounded: without a collector, adding never waits.
func TestQueueIsBounded(t *testing.T) {
	e, err := New("http://127.0.0.1:1", From{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range queued + 10 {
		e.Add(aSpan())
	}
	if got := e.dropped.Load(); got != 10 {
		t.Errorf("%d are dropped", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	e.Run(ctx)
	if got := e.dropped.Load(); got != 10+batch {
		t.Errorf("after a failure %d are dropped", got)
	}
}

// TestSending: batches go to /v1/traces; a refusal is logged once, and so is the end of it.
func TestSending(t *testing.T) {
	status, sizes := http.StatusOK, []int{}
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var got trace.TracesData
		if err := proto.Unmarshal(text, &got); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %v: %v", r.URL, r.Header, err)
		}
		sizes = append(sizes, len(got.ResourceSpans[0].ScopeSpans[0].Spans))
		w.WriteHeader(status)
	}))
	defer collector.Close()
	var log strings.Builder
	e, err := New(collector.URL, From{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, status = range []int{200, 503, 302, 200} {
		for range batch + 1 {
			e.Add(aSpan())
		}
		e.flush(t.Context())
	}
	// Spans that a failure leaves in the queue go with the next batch.
	if want := []int{batch, 1, batch, batch, batch, 3}; !slices.Equal(sizes, want) {
		t.Errorf("got the batches %v, want %v", sizes, want)
	}
	if strings.Count(log.String(), "could not be sent") != 1 || strings.Count(log.String(), "takes spans again") != 1 {
		t.Error(log.String())
	}
}

// TestOverflowIsLogged: spans that find the queue full are counted in the log, although the
// collector takes all that are sent.
func TestOverflowIsLogged(t *testing.T) {
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer collector.Close()
	var log strings.Builder
	e, err := New(collector.URL, From{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range queued + 10 {
		e.Add(aSpan())
	}
	e.flush(t.Context())
	if strings.Count(log.String(), "were dropped") != 1 || !strings.Contains(log.String(), "dropped=10") || len(e.queue) > 0 {
		t.Errorf("%d spans wait: %s", len(e.queue), log.String())
	}
}
