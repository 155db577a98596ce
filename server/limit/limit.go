// Package limit bounds what strangers can make the authority do: how many requests of
// one sender may be refused in a while (most refusals are recorded in the audit log),
// and how many connections there are at once.
package limit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/brevet-ca/brevet/agents"
)

const (
	// failures that an address may make at once, and how many a second come back.
	failureBurst = 50
	failureRate  = 5
	// maxSenders bounds the memory. Above it, senders without a recent failure are
	// forgotten, and if that is not enough, all are.
	maxSenders = 10_000
)

// A Sender is whom a failure is counted for: an address or, where that has made
// too many, an agent that proved who it is.
type Sender struct {
	Address netip.Addr
	Agent   agents.Name
}

// A Limiter counts the refused requests of each sender. Requests that succeed are
// not counted. It keeps its counts in memory: each node has its own.
type Limiter struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[Sender]*rate.Limiter
}

// New returns a Limiter that goes by the clock now.
func New(now func() time.Time) *Limiter {
	return &Limiter{now: now, buckets: map[Sender]*rate.Limiter{}}
}

// Blocked reports whether the sender has failed too often.
func (l *Limiter) Blocked(who Sender) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[who]
	return ok && b.TokensAt(l.now()) < 1
}

// Failed counts a failure.
func (l *Limiter) Failed(who Sender) {
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

func (l *Limiter) makeRoom() {
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
