package admission

import (
	"testing"
	"time"
)

// TestPaceLetsSoManyThroughWithinAnySecond: a crowd that comes at once and comes again when it
// is told to is let through at the pace, and each of it soon.
func TestPaceLetsSoManyThroughWithinAnySecond(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	p := NewPace(50, func() time.Time { return now })
	var passed []time.Time
	waiting := map[time.Time]int{now: 1000}
	for step := 0; len(passed) < 1000 && step < 1000; step++ {
		for range waiting[now] {
			wait := p.Wait()
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
