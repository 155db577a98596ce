// Package otlp sends traces of requests to a collector of OpenTelemetry: spans in protobuf
// over HTTP (OTLP 1.0, section "OTLP/HTTP"). Only programs built with the tag otel link it.
//
// Spans wait in a queue of fixed size. If the collector is slower than the requests, or
// away, spans are dropped and counted: no request waits, and no batch is sent twice.
// Metrics and logs are not sent.
package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/server/telemetry"
)

// Bounds of what is kept and sent.
const (
	queued  = 2048 // spans that wait
	batch   = 512  // spans of one request
	every   = 5 * time.Second
	timeout = 10 * time.Second // of one request
	atEnd   = 2 * time.Second  // for what is left when the server stops
)

// From says whose spans they are.
type From struct{ TrustDomain, Version string }

// An Exporter sends spans. Its methods may be called concurrently.
type Exporter struct {
	url     string
	from    From
	client  http.Client
	log     *slog.Logger
	queue   chan telemetry.Span
	dropped atomic.Int64
	failing bool // of Run
}

// New returns an Exporter to the collector at an http or https URL, whose path is
// /v1/traces if it has none.
func New(collector string, from From, log *slog.Logger) (*Exporter, error) {
	u, err := url.Parse(collector)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Exporter{
		url: u.String(), from: from, log: log, queue: make(chan telemetry.Span, queued),
		client: http.Client{Transport: &http.Transport{}, CheckRedirect: stay},
	}, nil
}

// Add queues a span, or drops it. It never blocks.
func (e *Exporter) Add(s telemetry.Span) {
	select {
	case e.queue <- s:
	default:
		e.dropped.Add(1)
	}
}

// Run sends spans until ctx is done, and then what is left, for two seconds at most.
func (e *Exporter) Run(ctx context.Context) {
	defer e.client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), atEnd)
			defer cancel()
			e.flush(last)
			return
		}
	}
}

// flush sends what waits, in batches, until one fails. It sends no more than the queue holds,
// so it ends however fast spans come.
func (e *Exporter) flush(ctx context.Context) {
	for range queued / batch {
		spans := e.take()
		if len(spans) == 0 {
			return
		}
		err := e.send(ctx, spans)
		if err != nil {
			e.dropped.Add(int64(len(spans)))
		}
		e.tell(err)
		if err != nil {
			return
		}
	}
}

func (e *Exporter) take() (spans []telemetry.Span) {
	for len(spans) < batch {
		select {
		case s := <-e.queue:
			spans = append(spans, s)
		default:
			return spans
		}
	}
	return spans
}

func (e *Exporter) send(ctx context.Context, spans []telemetry.Span) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(encode(spans, e.from)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return errors.Join(err, fmt.Errorf("the collector answered %s", resp.Status))
	}
	return err
}

// tell logs when sending begins to fail, when it works again, and when the queue was full.
func (e *Exporter) tell(err error) {
	switch {
	case err != nil && !e.failing:
		e.log.Warn("spans could not be sent, and are dropped until the collector takes them again", "error", err)
	case err == nil && e.failing:
		e.log.Info("the collector takes spans again", "dropped", e.dropped.Swap(0))
	case err == nil:
		if n := e.dropped.Swap(0); n > 0 {
			e.log.Warn("spans came faster than the collector takes them, and were dropped", "dropped", n)
		}
	}
	e.failing = err != nil
}
