package server

import (
	"context"
	"net/http"
	"sync"

	"github.com/brevet-ca/brevet/ca/enroll"
)

// mounted admits requests to the handlers that a program mounts in HTTP servers of its
// own: only while Run serves.
type mounted struct {
	mu       sync.Mutex
	open     bool
	requests sync.WaitGroup // in flight; grows only while open
}

// admit answers 503 in place of next while m is not open.
func (m *mounted) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !m.enter() {
			w.Header().Set("Retry-After", "10")
			enroll.WriteProblem(w, "about:blank", http.StatusServiceUnavailable, "the server is not ready: it is starting or stopping; try again shortly")
			return
		}
		defer m.requests.Done()
		next.ServeHTTP(w, r)
	})
}

func (m *mounted) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open {
		m.requests.Add(1)
	}
	return m.open
}

func (m *mounted) set(open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = open
}

// wait waits for the requests in flight until ctx is done. m is no longer open.
func (m *mounted) wait(ctx context.Context) {
	finished := make(chan struct{})
	go func() { m.requests.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
	}
}

// overTLS refuses requests that did not come over TLS: they may carry enrollment tokens
// and other credentials. RFC 9110, section 15.5.20: no answer for this scheme here.
func overTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			enroll.WriteProblem(w, "about:blank", http.StatusMisdirectedRequest, "this address needs TLS: use https, and replace credentials that were sent here without it")
			return
		}
		next.ServeHTTP(w, r)
	})
}
