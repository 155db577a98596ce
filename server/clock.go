package server

import (
	"fmt"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
)

const (
	// tolerance is how far the machine's clock may step without anybody minding:
	// more than NTP corrects on a machine that is looked after.
	tolerance = agents.ClockTolerance
	// longest is the longest that tokens and most certificates live.
	longest = time.Hour
	// maxDoubt bounds how much longer records are kept because the clock stepped
	// ahead, and for how long it is thought that it might have been wrong.
	maxDoubt = 24 * time.Hour
)

// A clock is the authority's time. That is what the machine's clock shows,
// unless it has been set back by more than the tolerance: compared at the start
// with the latest time on record, and since then with a clock that nobody sets.
// Then time goes on as if it had not been, so that nothing that was revoked or
// expired comes back to life, and nothing is issued until the machine's clock is
// right again, or has passed the end of what was issued before.
//
// A step ahead cannot be told from sleep, or from the correction of a clock that
// was slow. It is believed, and told to who receives from steps; but what has
// expired by it is kept for as long again, see least.
type clock struct {
	machine func() time.Time
	started time.Time // for its monotonic reading
	steps   chan step

	mu     sync.Mutex
	seen   moment    // what the machine's clock showed when it was last looked at
	sure   moment    // the authority's time then
	latest time.Time // the latest that the machine's clock was believed to show
	back   bool      // it is not believed
	resume time.Time // when it is again
	doubt  time.Duration
	until  time.Duration // when the doubt ends, by the monotonic clock
}

// A moment is a time, and how long after the start it was.
type moment struct {
	time  time.Time
	after time.Duration
}

// A step is a change of the machine's clock that no time passed for.
type step struct {
	from, to time.Time
	by       time.Duration
}

func (s step) String() string {
	way := "ahead"
	if s.by < 0 {
		way = "back"
	}
	return fmt.Sprintf("the clock stepped %s by %s, from %s to %s",
		way, s.by.Abs().Round(time.Second), s.from.UTC().Format(time.RFC3339), s.to.UTC().Format(time.RFC3339))
}

// newClock returns the clock of an authority, given the latest time on record;
// the zero time is none.
func newClock(machine func() time.Time, latest time.Time) *clock {
	c := &clock{machine: machine, started: time.Now(), steps: make(chan step, 1), latest: latest}
	shown := machine().Round(0)
	c.seen.time, c.sure.time = shown, shown
	switch gap := shown.Sub(latest); {
	case latest.IsZero():
	case gap < -tolerance:
		c.sure.time, c.back, c.resume = latest, true, latest.Add(longest)
	case gap > tolerance: // we were stopped, or the clock is ahead
		c.doubt, c.until = min(gap, maxDoubt), maxDoubt
	}
	return c
}

// A reading is what a look at the clock tells.
type reading struct {
	shown  time.Time // by the machine
	now    time.Time
	latest time.Time // nothing was issued after this
	back   bool      // the machine's clock is not believed
}

// look compares the machine's clock with the time that must have passed since
// the last look.
func (c *clock) look() reading {
	after := time.Since(c.started)
	shown := c.machine().Round(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	if after < c.seen.after { // somebody looked later and was faster
		return reading{c.seen.time, c.sure.time, c.latest, c.back}
	}
	expected := c.seen.time.Add(after - c.seen.after)
	sure := c.sure.time.Add(after - c.sure.after)
	if by := shown.Sub(expected); by.Abs() > tolerance {
		select {
		case c.steps <- step{expected, shown, by}:
		default: // an earlier one is yet to be told of
		}
	}
	switch ahead := shown.Sub(sure); {
	case ahead < -tolerance && !c.back:
		c.back, c.resume = true, c.latest.Add(longest)
	case ahead < -tolerance && shown.Before(c.resume):
	case ahead > tolerance:
		if after >= c.until {
			c.doubt = 0
		}
		c.doubt, c.until, c.back = min(c.doubt+ahead, maxDoubt), after+maxDoubt, false
	default:
		c.back = false
	}
	if !c.back {
		sure = shown
		if shown.After(c.latest) {
			c.latest = shown
		}
	}
	c.seen, c.sure = moment{shown, after}, moment{sure, after}
	return reading{shown, sure, c.latest, c.back}
}

// Now returns the authority's time.
func (c *clock) Now() time.Time { return c.look().now }

// Latest returns an instant that nothing was issued after yet, as long as
// nothing is being issued. Cutoffs are made as of then: Now may have been set
// back a little.
func (c *clock) Latest() time.Time { return c.look().latest }

// Issuing returns the time to issue something at, or why nothing may be issued.
func (c *clock) Issuing() (time.Time, error) {
	r := c.look()
	return r.now, r.check()
}

func (r reading) check() error {
	if !r.back {
		return nil
	}
	return fmt.Errorf("%w: the clock of this machine shows %s, %s less than it must be by what was recorded here; set it right, or if it is right and was ahead before, restart with brevet serve --accept-clock",
		policy.ErrUnavailable, r.shown.UTC().Format(time.RFC3339), r.now.Sub(r.shown).Round(time.Second))
}

// doubts returns how far ahead the clock may be without our knowing.
func (c *clock) doubts() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.started) >= c.until {
		return 0
	}
	return c.doubt
}

// least returns the earliest that it may be. What has expired by then has, even
// if the clock turns out to have been ahead.
func (c *clock) least() time.Time {
	r, doubt := c.look(), c.doubts()
	if r.now.Before(r.shown) {
		return r.now.Add(-doubt)
	}
	return r.shown.Add(-doubt)
}
