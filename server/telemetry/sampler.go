package telemetry

import (
	"net/http"
	"sync"
	"time"
)

// sampledLines is how many requests a second are logged of each kind that strangers can send
// without end. A client that goes on asking must not fill the disk; other requests are only
// counted.
const sampledLines = 10

// Samplers say which requests are logged: all that prove an identity and that no limit turns
// away, and some of the others.
type samplers struct {
	turnedAway sampler    // by a limit (429), also of agents
	strangers  [6]sampler // by the class of the status
}

// of returns what decides about a request, or nil if it is logged in any case.
func (s *samplers) of(status int, proven bool) *sampler {
	switch class := status / 100; {
	case status == http.StatusTooManyRequests:
		return &s.turnedAway
	case proven:
		return nil
	case class >= 0 && class < len(s.strangers):
		return &s.strangers[class]
	}
	return &s.strangers[0]
}

// A sampler says which requests of one kind are logged.
type sampler struct {
	mu     sync.Mutex
	second time.Time // the one that lines are counted for
	lines  int
	more   int // requests without a line since the last line
}

// line reports whether a request that ended now is logged, and how many before it were not.
func (t *sampler) line(now time.Time) (more int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if since := now.Sub(t.second); since >= time.Second || since < 0 {
		t.second, t.lines = now, 0
	}
	if t.lines == sampledLines {
		t.more++
		return 0, false
	}
	t.lines++
	more, t.more = t.more, 0
	return more, true
}
