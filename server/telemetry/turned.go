package telemetry

import (
	"sync"
	"time"
)

// turnedAwayLines is how many requests a second are logged of those that are turned away by a
// limit (429). A client that goes on asking must not fill the disk; other requests are only
// counted.
const turnedAwayLines = 10

// A turnedAway says which of the requests that a limit turns away are logged.
type turnedAway struct {
	mu     sync.Mutex
	second time.Time // the one that lines are counted for
	lines  int
	more   int // requests without a line since the last line
}

// line reports whether a request that ended now is logged, and how many before it were not.
func (t *turnedAway) line(now time.Time) (more int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if since := now.Sub(t.second); since >= time.Second || since < 0 {
		t.second, t.lines = now, 0
	}
	if t.lines == turnedAwayLines {
		t.more++
		return 0, false
	}
	t.lines++
	more, t.more = t.more, 0
	return more, true
}
