package clock

import (
	"fmt"
	"time"
)

// A Step is a change of the machine's clock during which no time passed.
type Step struct {
	From, To time.Time
	By       time.Duration
}

func (s Step) String() string {
	way := "ahead"
	if s.By < 0 {
		way = "back"
	}
	return fmt.Sprintf("the clock stepped %s by %s, from %s to %s",
		way, s.By.Abs().Round(time.Second), s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339))
}

// Steps reports steps larger than [Tolerance]. It drops those that come while an
// earlier one has not been received.
func (c *Clock) Steps() <-chan Step { return c.steps }

// A reading is the result of one look at the clock.
type reading struct {
	shown  time.Time // by the machine
	now    time.Time
	latest time.Time // nothing was issued after this
	back   bool      // the machine's clock is not believed
}

// look compares the machine's clock with the time that must have passed since the
// last look.
func (c *Clock) look() reading {
	if c.believed {
		now := c.machine()
		return reading{shown: now, now: now, latest: now}
	}
	after := time.Since(c.started)
	shown := c.machine().Round(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	if after < c.seen.after { // another caller looked later and was faster
		return reading{c.seen.time, c.sure.time, c.latest, c.back}
	}
	expected := c.seen.time.Add(after - c.seen.after)
	sure := c.sure.time.Add(after - c.sure.after)
	if by := shown.Sub(expected); by.Abs() > Tolerance {
		select {
		case c.steps <- Step{expected, shown, by}:
		default: // nobody has received the last one yet
		}
	}
	switch ahead := shown.Sub(sure); {
	case ahead < -Tolerance && !c.back:
		c.back, c.resume = true, c.latest.Add(longest)
	case ahead < -Tolerance && shown.Before(c.resume):
	case ahead > Tolerance:
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
