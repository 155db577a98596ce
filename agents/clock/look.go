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
		way, FormatDuration(s.By.Abs().Round(time.Second)), s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339))
}

// Steps reports steps larger than [Tolerance], and the last one of several small steps
// that are together. It drops those that come while an
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
		return c.reading()
	}
	elapsed := after - c.seen.after
	expected, sure := c.seen.time.Add(elapsed), c.sure.time.Add(elapsed)
	if !c.back && c.seen.time.Before(c.sure.time) {
		sure = sure.Add(-elapsed / drift) // the machine's clock may be the better one
	}
	c.crept = max(0, c.crept-elapsed/drift)
	step := Step{expected, shown, shown.Sub(expected)}
	noted := step.By.Abs() > Tolerance
	switch ahead := shown.Sub(sure); {
	case ahead < -Tolerance && !c.back:
		if !noted { // several small steps
			step = Step{sure, shown, ahead}
		}
		noted, c.back, c.resume = true, true, c.trusted(c.latest)
	case ahead < -Tolerance && shown.Before(c.resume):
	case ahead < -Tolerance:
		c.back, sure = false, shown
	default:
		c.back = false
		if c.crept += max(0, ahead); c.crept > Tolerance {
			if !noted {
				step = Step{shown.Add(-c.crept), shown, c.crept}
			}
			c.doubtAt(after, c.crept, c.doubtFor())
			noted, c.crept = true, 0
		}
	}
	if !c.back {
		sure = later(sure, shown)
		c.latest = later(c.latest, shown)
	}
	c.seen, c.sure = moment{shown, after}, moment{sure, after}
	if noted {
		select {
		case c.steps <- step:
		default: // nobody has received the last one yet
		}
	}
	return c.reading()
}

// reading returns the result of the last look.
func (c *Clock) reading() reading {
	r := reading{c.seen.time, c.seen.time, c.latest, c.back}
	if c.back {
		r.now = c.sure.time
	}
	return r
}

// trusted returns when a clock that was set back is believed again, given the latest
// time on record.
func (c *Clock) trusted(last time.Time) time.Time { return last.Add(max(leastWait, c.longest)) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
