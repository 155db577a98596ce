package clock

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A machine has a clock that a test sets.
type machine struct{ ahead time.Duration }

func (m *machine) now() time.Time { return time.Now().Add(m.ahead) }

// TestClockSteps looks at the clock every minute, through steps of the
// machine's. In the bubble, time passes only as the test says.
func TestClockSteps(t *testing.T) {
	const h = time.Hour
	for _, test := range []struct {
		name   string
		steps  []time.Duration // one after each ten minutes
		back   []bool          // after each
		doubt  time.Duration   // in the end
		noted  int
		latest time.Duration // on record at the start, from then
	}{
		{name: "none", steps: []time.Duration{0, 0}, back: []bool{false, false}},
		{name: "small ones", steps: []time.Duration{4 * time.Minute, -4 * time.Minute, 4 * time.Minute, -4 * time.Minute}, back: []bool{false, false, false, false}},
		{name: "back in small ones", steps: []time.Duration{-4 * time.Minute, -4 * time.Minute, 4 * time.Minute}, back: []bool{false, true, false}, noted: 1},
		{name: "ahead in small ones", steps: []time.Duration{4 * time.Minute, 4 * time.Minute}, back: []bool{false, false}, doubt: 8*time.Minute - 600*time.Millisecond, noted: 1},
		{name: "back", steps: []time.Duration{-3 * h, 0, 0}, back: []bool{true, true, true}, noted: 1},
		{name: "back and right again", steps: []time.Duration{-3 * h, 3 * h}, back: []bool{true, false}, noted: 2},
		{name: "back and nearly right again", steps: []time.Duration{-3 * h, 3*h - 4*time.Minute}, back: []bool{true, false}, noted: 2},
		{name: "back and half right again", steps: []time.Duration{-3 * h, h}, back: []bool{true, true}, noted: 2},
		{name: "back by a little more than that", steps: []time.Duration{-6 * time.Minute, 0, 2 * time.Minute}, back: []bool{true, true, false}, noted: 1},
		{name: "ahead", steps: []time.Duration{6 * h, 0}, back: []bool{false, false}, doubt: 6 * h, noted: 1},
		{name: "ahead twice", steps: []time.Duration{6 * h, 2 * h}, back: []bool{false, false}, doubt: 8 * h, noted: 2},
		{name: "far ahead", steps: []time.Duration{50 * 365 * 24 * h}, back: []bool{false}, doubt: maxDoubt, noted: 1},
		{name: "ahead and right again", steps: []time.Duration{6 * h, -6 * h, 0}, back: []bool{false, true, true}, doubt: 6 * h, noted: 2},
		{name: "start behind the record", latest: 3 * h, steps: []time.Duration{0, 0}, back: []bool{true, true}},
		{name: "start behind the record, and set right", latest: 3 * h, steps: []time.Duration{3 * h}, back: []bool{false}, noted: 1},
		{name: "start a little behind", latest: 4 * time.Minute, steps: []time.Duration{0}, back: []bool{false}},
		{name: "start a little behind, and back", latest: 4 * time.Minute, steps: []time.Duration{-4 * time.Minute}, back: []bool{true}, noted: 1},
		{name: "start long after the record", latest: -3 * h, steps: []time.Duration{0}, back: []bool{false}, doubt: 3 * h},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m machine
				var latest time.Time
				if test.latest != 0 {
					latest = time.Now().Add(test.latest)
				}
				c := New(m.now, Record{Latest: latest}, time.Hour)
				noted, last := 0, c.Now()
				for i, step := range test.steps {
					m.ahead += step
					for range 10 {
						now, err := c.Issuing()
						if got := errors.Is(err, ErrUnavailable); got != test.back[i] {
							t.Fatalf("after step %d: %v", i, err)
						}
						if now.Before(last.Add(-Tolerance)) {
							t.Errorf("after step %d, time went from %s to %s", i, last, now)
						}
						if now.After(c.Latest()) && err == nil {
							t.Errorf("after step %d, it is %s, and %s was the latest", i, now, c.Latest())
						}
						last = now
						select {
						case <-c.steps:
							noted++
						default:
						}
						time.Sleep(time.Minute)
					}
				}
				if noted != test.noted {
					t.Errorf("%d steps were noted, want %d", noted, test.noted)
				}
				if got := c.Doubt(); got != test.doubt {
					t.Errorf("doubt %s, want %s", got, test.doubt)
				}
				time.Sleep(leastDoubt)
				if got := c.Doubt(); got != 0 {
					t.Errorf("doubt %s a day later", got)
				}
			})
		})
	}
}

// TestClockCatchesUp: nothing is issued until all that was issued before the
// clock was set back has expired by it, too.
func TestClockCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m machine
		c := New(m.now, Record{}, time.Hour)
		before := c.Now()
		m.ahead = -3 * time.Hour
		for m.now().Before(before.Add(time.Hour)) {
			if _, err := c.Issuing(); err == nil {
				t.Fatalf("issuing at %s, set back at %s", m.now(), before)
			}
			if !c.Latest().Equal(before) {
				t.Fatalf("cutoffs are as of %s: what is issued once the clock has caught up would be dead", c.Latest())
			}
			time.Sleep(time.Minute)
		}
		if now, err := c.Issuing(); err != nil || !now.Equal(m.now()) {
			t.Errorf("afterwards: %s %v", now, err)
		}
	})
}

// TestClockThatIsOftenCorrected is a second fast each hour, and put right.
func TestClockThatIsOftenCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m machine
		c := New(m.now, Record{}, time.Hour)
		for range 1000 {
			time.Sleep(time.Hour)
			m.ahead -= time.Second
			if _, err := c.Issuing(); err != nil {
				t.Fatal(err)
			}
		}
		if len(c.steps) > 0 || c.Doubt() != 0 {
			t.Errorf("%d steps were noted, doubt %s", len(c.steps), c.Doubt())
		}
	})
}

func TestClockSaysWhatToDo(t *testing.T) {
	m := machine{-3 * time.Hour}
	c := New(m.now, Record{Latest: time.Now()}, time.Hour)
	_, err := c.Issuing()
	if err == nil || !strings.Contains(err.Error(), "2h59m59s less") && !strings.Contains(err.Error(), "3h less") || !strings.Contains(err.Error(), "--accept-clock") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// TestSlowLookAtTheClock: a caller reads the machine's clock before a step, and is
// served after another caller, which reads it after the step. That is no step back.
func TestSlowLookAtTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m machine
		meanwhile := func() {}
		c := New(func() time.Time {
			shown := m.now()
			f := meanwhile
			meanwhile = func() {}
			f()
			return shown
		}, Record{}, time.Hour)
		meanwhile = func() {
			m.ahead = 6 * time.Hour
			time.Sleep(time.Millisecond)
			c.Now()
		}
		if now, err := c.Issuing(); err != nil || !now.Equal(m.now()) {
			t.Errorf("%s %v", now, err)
		}
		if st := <-c.steps; st.By < 0 || len(c.steps) > 0 || c.Doubt() != 6*time.Hour {
			t.Errorf("%s, then %d more, doubt %s", st, len(c.steps), c.Doubt())
		}
	})
}

// TestClockShowsOthers what the machine's clock shows, unless that is from before
// the issuer was made.
func TestClockShowsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m machine
		c := New(m.now, Record{}, time.Hour)
		c.NotBefore(m.now().Add(-time.Hour))
		right := c.Now()
		m.ahead = -30 * time.Minute
		if got := c.Shown(); !got.Equal(m.now()) || !c.Now().Equal(right) {
			t.Errorf("set back by half an hour, it shows %s and is %s", got, c.Now())
		}
		m.ahead = -2 * time.Hour
		if got := c.Shown(); !got.Equal(right) {
			t.Errorf("set back to before the issuer was made, it shows %s", got)
		}
	})
}
