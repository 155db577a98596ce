package clock

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// An issued credential is what a random walk remembers of one.
type issued struct {
	at, expires time.Time // by the authority
	really      time.Time // when it was issued by a right clock
	since       *Clock    // the process that issued it
	shownRight  bool      // the machine's clock was right then
	expired     bool      // the authority took it for expired once
}

// A walk is an authority whose machine has a clock that is set at random. In the
// bubble, time.Now is the right time.
type walk struct {
	random  *rand.Rand
	machine machine
	clock   *Clock
	longest time.Duration
	record  Record
	all     []*issued
	wrong   bool // the machine's clock was set since the start
}

// TestRandomClocks sets the machine's clock at random, in small and large steps, and
// restarts the authority now and then.
func TestRandomClocks(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			w := &walk{random: rand.New(rand.NewPCG(seed, 1)), longest: []time.Duration{time.Hour, 72 * time.Hour}[seed%2]}
			w.clock = New(w.machine.now, Record{}, w.longest)
			for i := range 200 {
				if err := w.step(); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, i, err)
				}
			}
		})
	}
}

func (w *walk) step() error {
	upTo := func(d time.Duration) time.Duration { return time.Duration(w.random.Int64N(int64(d))) }
	switch w.random.IntN(8) {
	case 0, 1:
		time.Sleep(upTo(time.Minute))
	case 2:
		time.Sleep(upTo(w.longest / 4))
	case 3: // small steps are what an attacker tries
		w.set(upTo(2*Tolerance) - Tolerance)
	case 4:
		w.set(-upTo(Tolerance))
	case 5:
		if w.random.IntN(4) == 0 {
			w.set(upTo(4*w.longest) - 2*w.longest)
		}
	case 6:
		if w.random.IntN(4) == 0 {
			w.machine.ahead = 0 // somebody sets it right
		}
	case 7:
		w.record = w.clock.Record()
		if w.random.IntN(4) == 0 {
			time.Sleep(upTo(w.longest))
			w.clock = New(w.machine.now, w.record, w.longest)
		}
	}
	return w.look()
}

func (w *walk) set(by time.Duration) {
	w.clock.Now() // the authority looks more often than its machine's clock is set
	w.machine.ahead += by
	w.wrong = true
}

func (w *walk) look() error {
	latest := w.clock.Latest()
	now, err := w.clock.Issuing()
	if now.Before(latest.Add(-Tolerance)) {
		return fmt.Errorf("it is %s after %s", now, latest)
	}
	earliest, right := w.clock.Earliest(), time.Now()
	for _, c := range w.all {
		if c.expired && now.Before(c.expires) {
			return fmt.Errorf("what expired at %s is alive at %s", c.expires, now)
		}
		c.expired = c.expired || now.After(c.expires.Add(Tolerance))
		if life, passed := c.expires.Sub(c.at), right.Sub(c.really); c.since == w.clock && passed > life+Tolerance+passed/drift && now.Before(c.expires) {
			return fmt.Errorf("what was issued for %s is alive after %s", life, passed)
		}
		if slack := 2*Tolerance + right.Sub(c.really)/drift*2; c.shownRight && earliest.After(c.expires.Add(slack)) && right.Before(c.expires) {
			return fmt.Errorf("records of what is alive until %s are dropped at %s: it is at least %s, they say", c.expires, right, earliest)
		}
	}
	if err == nil {
		life := time.Minute + time.Duration(w.random.Int64N(int64(w.longest)-int64(time.Minute)))
		w.all = append(w.all, &issued{at: now, expires: now.Add(life), really: right, since: w.clock, shownRight: !w.wrong})
	}
	return nil
}
