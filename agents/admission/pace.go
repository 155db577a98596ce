package admission

import (
	"sync"
	"time"
)

// A Pace spreads over time what many clients ask for at once. A client that comes too early
// gets a place in a line: the moment at which it may come again. Places are not kept: a client
// that comes late gets another.
type Pace struct {
	now func() time.Time

	mu     sync.Mutex
	passed []time.Time // when the last ones went on, as many as may within a second; a ring
	oldest int         // in passed
	line   time.Time   // the last place that was given
}

// longestLine is the longest that anybody is told to wait: a client should notice soon when
// the crowd is gone.
const longestLine = 5 * time.Minute

// NewPace returns a Pace of n in a second, by the clock now.
func NewPace(n int, now func() time.Time) *Pace { return &Pace{now: now, passed: make([]time.Time, n)} }

// Wait returns 0 for one that may go on, or the whole seconds that it waits before it asks
// again. No more than the pace go on within any second.
func (p *Pace) Wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	free := p.passed[p.oldest].Add(time.Second)
	if !now.Before(free) {
		p.passed[p.oldest] = now
		p.oldest = (p.oldest + 1) % len(p.passed)
		return 0
	}
	if p.line.Before(free) || p.line.Sub(now) > longestLine {
		p.line = free
	}
	p.line = p.line.Add(time.Second / time.Duration(len(p.passed)))
	return (p.line.Sub(now) + time.Second - 1).Truncate(time.Second)
}
