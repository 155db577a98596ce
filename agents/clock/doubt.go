package clock

import (
	"slices"
	"time"
)

// A Record is what an authority keeps in its store of the time. The zero value says that
// nothing is on record.
type Record struct {
	Latest time.Time // the latest that the machine's clock was believed to show
	Least  time.Time // what it must have been at least, by the time that passed since
	Jumps  []Jump    // that may have been wrong
}

// A Jump is a step ahead that may have been wrong. It is stored as JSON.
type Jump struct {
	By   time.Duration `json:"by"`
	Left time.Duration `json:"left"` // for how long it counts as possibly wrong
}

// A jump is a Jump in a running process.
type jump struct {
	by    time.Duration
	until time.Duration // by the monotonic clock
}

const (
	// maxJumps bounds how many jumps are kept apart.
	maxJumps = 64
	// maxDoubt bounds their sum: times before the Unix epoch mean nothing here.
	maxDoubt = 50 * 365 * 24 * time.Hour
)

// doubtFor returns for how long a step ahead counts as possibly wrong. After that, all
// that was issued before the step has expired by any clock.
func (c *Clock) doubtFor() time.Duration { return max(leastDoubt, c.longest) }

// doubt notes a jump when the clock is made.
func (c *Clock) doubt(by, left time.Duration) { c.doubtAt(0, by, left) }

func (c *Clock) doubtAt(after, by, left time.Duration) {
	c.jumps = slices.DeleteFunc(c.jumps, func(j jump) bool { return j.until <= after })
	c.jumps = append(c.jumps, jump{min(by, maxDoubt), after + left})
	if len(c.jumps) > maxJumps {
		first, second := c.jumps[0], c.jumps[1]
		c.jumps = c.jumps[1:]
		c.jumps[0] = jump{min(first.by+second.by, maxDoubt), max(first.until, second.until)}
	}
}

// current returns the jumps that count.
func (c *Clock) current() []Jump {
	c.mu.Lock()
	defer c.mu.Unlock()
	after := time.Since(c.started)
	var all []Jump
	for _, j := range c.jumps {
		if left := j.until - after; left > 0 {
			all = append(all, Jump{j.by, left})
		}
	}
	return all
}

// Doubt returns the clock uncertainty: how far ahead the clock may be unnoticed.
func (c *Clock) Doubt() time.Duration {
	var sum time.Duration
	for _, j := range c.current() {
		sum = min(sum+j.By, maxDoubt)
	}
	return sum
}

// Record returns what to keep of the time.
func (c *Clock) Record() Record {
	latest := c.Latest() // looks at the clock
	c.mu.Lock()
	least := c.sure.time
	c.mu.Unlock()
	return Record{latest, least, c.current()}
}

// End returns the latest time on record.
func (r Record) End() time.Time { return later(r.Latest, r.Least) }
