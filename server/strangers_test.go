package server

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStrangersLearnNoNames: whatever a stranger asks about an agent, an enrollment token, a
// binding key, a certificate or an access token, the answer and what it costs the store are
// the same whether that exists, is dead, or was never there. Nothing is committed.
// (TestStrangersCostTheSame counts checks of signatures.)
func TestStrangersLearnNoNames(t *testing.T) {
	w := newStrangersWorld(t)
	for what, try := range w.attempts() {
		unknown := w.seen(try, try.of-1)
		if !strings.Contains(unknown, "commits:0") || !strings.Contains(unknown, "writes:0") || unknown[0] != '4' {
			t.Errorf("%s: for what does not exist: %s", what, unknown)
		}
		for i := range try.of - 1 {
			if known := w.seen(try, i); known != unknown {
				t.Errorf("%s: number %d is answered\n%s\nand what does not exist\n%s", what, i, known, unknown)
			}
		}
	}
}

// BenchmarkStranger has the median times of refusals, with those of the stranger's own
// work: for what exists, and as a ratio to it for what does not.
func BenchmarkStranger(b *testing.B) {
	w := newStrangersWorld(b)
	attempts := w.attempts()
	for _, what := range slices.Sorted(maps.Keys(attempts)) {
		try := attempts[what]
		b.Run(what, func(b *testing.B) {
			var exists, unknown []time.Duration
			for b.Loop() { // in turns, so that both are disturbed alike
				begun := time.Now()
				try.ask(1)
				middle := time.Now()
				try.ask(try.of - 1)
				exists, unknown = append(exists, middle.Sub(begun)), append(unknown, time.Since(middle))
			}
			slices.Sort(exists)
			slices.Sort(unknown)
			e, u := exists[len(exists)/2], unknown[len(unknown)/2]
			b.ReportMetric(float64(e.Nanoseconds()), "exists-ns/op")
			b.ReportMetric(float64(u)/float64(e), "unknown/exists")
		})
	}
}
