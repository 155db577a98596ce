package telemetry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/brevet-ca/brevet/storage/audit"
)

// Observe gives each request an id. Handlers find it in the context with the address
// of the client (see [audit.SourceOf]), the client in X-Request-Id.
// Observe counts and logs the request, and survives a handler's panic.
// It logs some of the requests that prove no identity (see [recorder.Prove]) and of those that
// a limit turns away (429), with the number of the others.
func (m *Metrics) Observe(log *slog.Logger, next http.Handler) http.Handler {
	kinds := new(samplers)
	return http.HandlerFunc(func(w http.ResponseWriter, asked *http.Request) {
		begin := time.Now()
		id := newRequestID()
		w.Header()["X-Request-Id"] = []string{id}
		peer := peerHost(asked)
		trace := traceOf(asked)
		r := asked.WithContext(known(asked.Context(), id, peer, trace.id))
		rec := &recorder{ResponseWriter: w}
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				log.Error("panic", "request", id, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "internal error", http.StatusInternalServerError)
				}
			}
			if rec.status == 0 && p == nil {
				rec.status = http.StatusOK // package http answers so for a handler that says nothing
			}
			took := time.Since(begin)
			asked.Pattern = r.Pattern // whoever calls this handler may want the route, too
			m.count(r.Pattern, rec.status, took)
			attrs := []slog.Attr{
				slog.String("request", id), slog.String("method", method(r)), slog.String("route", r.Pattern),
				slog.Int("status", rec.status), slog.Duration("took", took), slog.String("peer", peer),
			}
			if trace.id != "" {
				attrs = append(attrs, slog.String("trace", trace.id))
			}
			if m.Traced != nil && trace.sampled {
				m.Traced(Span{trace.id, id, trace.parent, method(r), r.Pattern, rec.status, begin, begin.Add(took)})
			}
			if kind := kinds.of(rec.status, rec.proven); kind != nil {
				more, ok := kind.line(begin.Add(took))
				if !ok && p == nil {
					return
				}
				if more > 0 {
					attrs = append(attrs, slog.Int("more", more))
				}
			}
			log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
			if p == http.ErrAbortHandler {
				panic(p) // package http then cuts off the answer, which would look whole otherwise
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// known returns a context that carries what the audit log says of where a request came
// from. Those over a unix socket have no address.
func known(ctx context.Context, id, peer, trace string) context.Context {
	if peer == local {
		peer = ""
	}
	return audit.WithSource(ctx, audit.Source{Request: id, Peer: peer, Trace: trace})
}

// newRequestID returns 16 hexadecimal digits.
func newRequestID() string {
	var raw [8]byte
	var digits [2 * len(raw)]byte
	rand.Read(raw[:])
	hex.Encode(digits[:], raw[:])
	return string(digits[:])
}

// method returns the request's method for the log, unless the client invented it.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "unknown"
}

// A recorder remembers the status of an answer, and whether the request proved an identity.
type recorder struct {
	http.ResponseWriter
	status int
	proven bool
}

// Prove says that the request proved to come from an agent or an operator.
func (r *recorder) Prove() { r.proven = true }

// Status returns the status of the answer, or 0 before there is one.
func (r *recorder) Status() int { return r.status }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// local is where requests over a unix socket come from.
const local = "local"

// peerHost returns the address that a request came from, without its port.
func peerHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return local
	}
	return host
}
