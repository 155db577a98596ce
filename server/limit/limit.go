// Package limit bounds the work that strangers can cause. It limits how many requests
// of one sender may be refused in a while (most refusals are recorded in the audit
// log), and how many connections are open at once.
package limit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/brevet-ca/brevet/agents"
)

const (
	// How many failures an address may cause at once, and how many more each second.
	failureBurst = 50
	failureRate  = 5
	// maxSenders bounds the memory. Above it, senders without a recent failure are
	// forgotten, and if that is not enough, all are.
	maxSenders = 10_000
)

// Failures are counted for a Sender: an address or, if that has caused too many, an
// agent that proved who it is.
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

// New returns a Limiter that uses the clock now.
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
