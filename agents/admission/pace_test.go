package admission

import (
	"fmt"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// TestPaceLetsSoManyThroughWithinAnySecond: a crowd that comes at once and comes again when it
// is told to is let through at the pace, and each of it soon.
func TestPaceLetsSoManyThroughWithinAnySecond(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	p := NewPace(50, func() time.Time { return now })
	var passed []time.Time
	n := 0
	waiting := map[time.Time]int{now: 1000}
	for step := 0; len(passed) < 1000 && step < 1000; step++ {
		for range waiting[now] {
			n++
			wait := p.Wait(agents.Name(fmt.Sprint("agent-", n)))
			if wait == 0 {
				passed = append(passed, now)
				continue
			}
			if wait < time.Second || wait%time.Second != 0 || wait > longestLine+time.Second {
				t.Fatalf("told to wait for %s", wait)
			}
			waiting[now.Add(wait)]++
		}
		now = now.Add(time.Second / 4)
	}
	if len(passed) != 1000 {
		t.Fatalf("%d went on", len(passed))
	}
	for i := range passed {
		if i >= 50 && passed[i].Sub(passed[i-50]) < time.Second {
			t.Fatalf("more than 50 went on in the second before %s", passed[i])
		}
	}
	if took := passed[999].Sub(passed[0]); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestPaceIsShared: an agent that asks as often as it can gets a fifth of the pace, and the
// others lose no more than that.
func TestPaceIsShared(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	p := NewPace(50, func() time.Time { return now })
	hostile := 0
	for n := range 100 * 10 { // ten seconds
		for range 30 {
			wait := p.Wait("hostile")
			if wait == 0 {
				hostile++
			}
			if wait > time.Second {
				t.Fatalf("it is told to wait for %s and holds a place in the line", wait)
			}
		}
		if n%25 == 0 {
			if wait := p.Wait(agents.Name(fmt.Sprint("healthy-", n))); wait != 0 {
				t.Fatalf("a healthy agent waits for %s", wait)
			}
		}
		now = now.Add(10 * time.Millisecond)
	}
	if hostile == 0 || hostile > 100+10 {
		t.Errorf("the hostile one went on %d times in ten seconds", hostile)
	}
}
