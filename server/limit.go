package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// failures that an address may make at once, and how many a second come back.
	failureBurst = 50
	failureRate  = 5
	// maxAddresses bounds the memory; beyond it, the addresses that have made
	// no failure lately are forgotten, then all.
	maxAddresses = 10_000
)

// A limiter bounds, by address, the requests that proved no identity and were
// refused. Those that succeed cost their sender nothing.
type limiter struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[netip.Addr]*rate.Limiter
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, buckets: map[netip.Addr]*rate.Limiter{}}
}

// blocked reports whether the address has failed too often.
func (l *limiter) blocked(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[addr]
	return ok && b.TokensAt(l.now()) < 1
}

// failed counts a failure.
func (l *limiter) failed(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[addr]
	if !ok {
		l.makeRoom()
		b = rate.NewLimiter(failureRate, failureBurst)
		l.buckets[addr] = b
	}
	b.AllowN(l.now(), 1)
}

func (l *limiter) makeRoom() {
	if len(l.buckets) < maxAddresses {
		return
	}
	for addr, b := range l.buckets {
		if b.TokensAt(l.now()) >= failureBurst {
			delete(l.buckets, addr)
		}
	}
	if len(l.buckets) >= maxAddresses {
		clear(l.buckets)
	}
}

// clientAddr returns the address to count under: an IPv6 client has at least a
// /64 to choose from.
func clientAddr(r *http.Request) netip.Addr {
	port, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := port.Addr().Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// limited refuses addresses that have failed to prove an identity too often.
func (s *Server) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr := clientAddr(r)
		if s.limit.blocked(addr) {
			w.Header().Set("Retry-After", "10")
			writeProblem(w, http.StatusTooManyRequests, "too many refused requests came from this address; wait a little")
			return
		}
		next.ServeHTTP(w, r)
		if rec, ok := w.(*recorder); ok && (rec.status == http.StatusUnauthorized || rec.status == http.StatusBadRequest) {
			s.limit.failed(addr)
		}
	})
}
