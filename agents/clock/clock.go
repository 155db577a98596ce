// Package clock is the authority's time: the machine's clock, as long as it can be
// believed. It does not know what is issued or stored. The caller says which time
// was the latest on record, asks for the time through one [Clock], and listens to
// [Clock.Steps].
package clock

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// Tolerance is how far the machine's clock may be set back in total, or ahead unnoticed,
	// before anybody minds: more than NTP corrects on a machine that is looked after.
	Tolerance = 5 * time.Minute
	// leastDoubt is the shortest time for which a step ahead counts as possibly wrong.
	leastDoubt = 24 * time.Hour
	// leastWait is the shortest time past the latest on record after which a clock that
	// was set back is believed again. Tokens live no longer than this.
	leastWait = time.Hour
	// drift is the part of a time by which a monotonic clock may be wrong: one second in a
	// quarter of an hour. Clocks of computers are better than a tenth of that.
	drift = 1000
)

// ErrUnavailable says that nothing is issued to anybody now, because the machine's
// clock is wrong. It is not a denial.
var ErrUnavailable = errors.New("nothing can be issued now")

// A Clock is the authority's time. It shows what the machine's clock shows, unless
// that was set back by more than [Tolerance] in total, in however many steps: back from
// the latest time on record at the start, or later from the latest that it showed and
// the time that has passed since by a monotonic clock. While the machine's clock is set
// back, the authority's time runs on as if it had not been, so that nothing that was
// revoked or expired comes back to life. Nothing is issued until the machine's clock is
// right again or has passed the end of what was issued before.
//
// A step ahead looks the same as sleep or the correction of a slow clock. A Clock
// believes it and reports it through Steps. For as long as the longest credential lives,
// records of what expired by the step are kept, see [Clock.Earliest].
//
// The methods may be called concurrently.
type Clock struct {
	machine  func() time.Time
	believed bool      // always, whatever it shows
	started  time.Time // for its monotonic reading
	steps    chan Step

	mu      sync.Mutex
	longest time.Duration // that a credential lives
	seen    moment        // what the machine's clock showed at the last look
	sure    moment        // the time that it must have been then at least, or nearly
	latest  time.Time     // the latest that the machine's clock was believed to show
	floor   time.Time     // Shown returns nothing before this that the machine's clock shows
	back    bool          // the machine's clock is not believed
	resume  time.Time     // when it is again
	crept   time.Duration // by how much small steps have set the clock ahead
	jumps   []jump        // ahead, in their order
}

// A moment is a time, and how long after the start it was.
type moment struct {
	time  time.Time
	after time.Duration
}

// New returns the clock of an authority on a machine, given what is on record of the time
// and how long credentials live at most.
func New(machine func() time.Time, on Record, longest time.Duration) *Clock {
	c := &Clock{machine: machine, longest: longest, started: time.Now(), steps: make(chan Step, 1), latest: on.Latest}
	shown := machine().Round(0)
	c.seen.time, c.sure.time = shown, shown
	for _, j := range on.Jumps {
		c.doubt(j.By, min(j.Left, c.doubtFor()))
	}
	switch gap := shown.Sub(on.End()); {
	case on.Latest.IsZero():
	case gap < -Tolerance:
		c.sure.time, c.back, c.resume = on.End(), true, c.trusted(on.Latest)
	case gap < 0:
		c.sure.time = on.End()
	case gap > Tolerance: // we were stopped, or the clock is ahead
		c.doubt(gap, c.doubtFor())
	}
	return c
}

// Cover has the clock reckon with credentials that live for d, and still with those that
// live longer.
func (c *Clock) Cover(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longest = max(c.longest, d)
}

// Believing returns a clock that always shows what now returns, even if that jumps.
// It is for tests.
func Believing(now func() time.Time) *Clock { return &Clock{machine: now, believed: true} }

// Now returns the authority's time.
func (c *Clock) Now() time.Time { return c.look().now }

// Latest returns an instant after which nothing was issued yet, provided that nothing
// is being issued at the moment. Cutoffs are dated by it, because Now may have been
// set back a little.
func (c *Clock) Latest() time.Time { return c.look().latest }

// Issuing returns the time at which to issue something, or why nothing may be issued.
func (c *Clock) Issuing() (time.Time, error) {
	r := c.look()
	return r.now, r.check()
}

// Check says why nothing may be issued, if that is so.
func (c *Clock) Check() error { return c.look().check() }

func (r reading) check() error {
	if !r.back {
		return nil
	}
	return fmt.Errorf("%w: the clock of this machine shows %s, %s less than it must be by what was recorded here; set it right, or if it is right and was ahead before, restart with brevet serve --accept-clock",
		ErrUnavailable, r.shown.UTC().Format(time.RFC3339), FormatDuration(r.now.Sub(r.shown).Round(time.Second)))
}

// Shown returns the time for what others compare with their clocks, such as the dates
// of lists and of the server's own certificate. That is what the machine's clock shows
// even if it was set back, because somebody may have set it right; but see NotBefore.
func (c *Clock) Shown() time.Time {
	r := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.shown.Before(c.floor) {
		return r.now
	}
	return r.shown
}

// NotBefore tells the clock that a time before t must be wrong: the active issuer
// was made at t. If the machine's clock shows such a time, Shown returns Now.
func (c *Clock) NotBefore(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.floor = t
}

// Earliest returns the earliest time that it may be. A credential that has expired
// by then is expired even if the clock turns out to have been ahead.
func (c *Clock) Earliest() time.Time {
	r, doubt := c.look(), c.Doubt()
	if r.now.Before(r.shown) {
		return r.now.Add(-doubt)
	}
	return r.shown.Add(-doubt)
}
