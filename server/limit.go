package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/storage"
)

const (
	// failures that an address may make at once, and how many a second come back.
	failureBurst = 50
	failureRate  = 5
	// maxSenders bounds the memory; beyond it, those that have made no failure
	// lately are forgotten, then all.
	maxSenders = 10_000
)

// A sender is whom a failure is counted for: an address or, where that has made
// too many, an agent that proved who it is.
type sender struct {
	addr  netip.Addr
	agent agents.Name
}

// A limiter bounds the requests of each sender that were refused. Those that
// succeed cost nothing.
type limiter struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[sender]*rate.Limiter
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, buckets: map[sender]*rate.Limiter{}}
}

// blocked reports whether the sender has failed too often.
func (l *limiter) blocked(who sender) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[who]
	return ok && b.TokensAt(l.now()) < 1
}

// failed counts a failure.
func (l *limiter) failed(who sender) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[who]
	if !ok {
		l.makeRoom()
		b = rate.NewLimiter(failureRate, failureBurst)
		l.buckets[who] = b
	}
	b.AllowN(l.now(), 1)
}

func (l *limiter) makeRoom() {
	if len(l.buckets) < maxSenders {
		return
	}
	for who, b := range l.buckets {
		if b.TokensAt(l.now()) >= failureBurst {
			delete(l.buckets, who)
		}
	}
	if len(l.buckets) >= maxSenders {
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

// refusals are what counts as a failure: most are recorded in the audit log.
var refusals = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}

// limited refuses senders that have failed too often. Many agents may share one
// address: those that prove who they are, by a current certificate, do not
// suffer for what others do there.
func (s *Server) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := sender{addr: clientAddr(r)}
		if s.limit.blocked(who) {
			if who = s.proven(r); who.agent == "" || s.limit.blocked(who) {
				w.Header().Set("Retry-After", "10")
				kind := "about:blank"
				if strings.HasPrefix(r.URL.Path, acme.Path) {
					kind = acme.RateLimited
				}
				writeProblem(w, kind, http.StatusTooManyRequests, "too many refused requests came from this address; wait a little")
				return
			}
		}
		next.ServeHTTP(w, r)
		if rec, ok := w.(*recorder); ok && slices.Contains(refusals, rec.status) {
			s.limit.failed(who)
		}
	})
}

// proven returns the agent whose current certificate the client presented.
func (s *Server) proven(r *http.Request) (who sender) {
	err := s.db.View(r.Context(), func(tx storage.Tx) error {
		p, err := s.presented(tx, r, s.clock.Now())
		if err == nil && p != nil {
			who = sender{agent: p.Agent.Name}
		}
		return err
	})
	if err != nil {
		return sender{}
	}
	return who
}
