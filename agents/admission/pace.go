package admission

import (
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// A Pace spreads over time what many clients ask for at once. A client that comes too early
// gets a place in a line: the moment at which it may come again. Places are not kept: a client
// that comes late gets another.
type Pace struct {
	now func() time.Time

	mu     sync.Mutex
	passed []pass    // the last ones that went on, as many as may within a second; a ring
	oldest int       // in passed
	line   time.Time // the last place that was given
}

// A pass says which agent went on, and when.
type pass struct {
	agent agents.Name
	at    time.Time
}

// share is the part of the pace that one agent has: one that asks as often as it can must not
// keep the others out.
const share = 5

// longestLine is the longest that anybody is told to wait: a client should notice soon when
// the crowd is gone.
const longestLine = 5 * time.Minute

// NewPace returns a Pace of n in a second, by the clock now.
func NewPace(n int, now func() time.Time) *Pace { return &Pace{now: now, passed: make([]pass, n)} }

// Wait returns 0 for an agent that may go on, or the whole seconds that it waits before it asks
// again. No more than the pace go on within any second, and a fifth of them at most are the
// same agent. Further requests of that agent take no place in the line.
func (p *Pace) Wait(n agents.Name) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.count(n, now.Add(-time.Second)) >= max(len(p.passed)/share, 1) {
		return time.Second
	}
	free := p.passed[p.oldest].at.Add(time.Second)
	if !now.Before(free) {
		p.passed[p.oldest] = pass{n, now}
		p.oldest = (p.oldest + 1) % len(p.passed)
		return 0
	}
	if p.line.Before(free) || p.line.Sub(now) > longestLine {
		p.line = free
	}
	p.line = p.line.Add(time.Second / time.Duration(len(p.passed)))
	return (p.line.Sub(now) + time.Second - 1).Truncate(time.Second)
}

// count returns how often an agent went on after an instant.
func (p *Pace) count(n agents.Name, after time.Time) (times int) {
	for _, one := range p.passed {
		if one.agent == n && one.at.After(after) {
			times++
		}
	}
	return times
}
