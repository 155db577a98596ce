package telemetry

import (
	"slices"
	"sync/atomic"
	"time"
)

// bounds are the upper bounds of the classes of a histogram: requests take from below a
// millisecond to the ten seconds of a timeout.
var bounds = []time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// A histogram counts durations. Adding one takes two atomic additions.
type histogram struct {
	counts [14]atomic.Uint64 // one for each bound, and one for what took longer
	sum    atomic.Int64
}

func (h *histogram) add(took time.Duration) {
	i, _ := slices.BinarySearch(bounds, took)
	h.counts[i].Add(1)
	h.sum.Add(int64(took))
}

// write writes the samples of h. The head is written once for all histograms of a family.
func (h *histogram) write(p *Page, name string, labels ...string) {
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
		le := "+Inf"
		if i < len(bounds) {
			le = text(bounds[i].Seconds())
		}
		p.sample(name+"_bucket", append(slices.Clip(labels), "le", le), float64(n))
	}
	p.sample(name+"_sum", labels, time.Duration(h.sum.Load()).Seconds())
	p.sample(name+"_count", labels, float64(n))
}
