// Package telemetry counts and logs requests and decisions, and serves metrics in the text
// format of Prometheus. Labels are routes, statuses, actions and codes of refusals; clients
// cannot choose them, and their number is bounded.
package telemetry

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Metrics counts requests and decisions, and asks for everything else when somebody reads
// the metrics.
type Metrics struct {
	Decisions
	// Traced, if set, is called after each request of a trace that its client records. It must
	// not block.
	Traced func(Span)

	more func(context.Context, *Page)

	requests sync.Map // answered to *atomic.Uint64
	times    sync.Map // route to *histogram
}

// An answered is a route and a status: requests with the same are counted together.
type answered struct {
	route  string
	status int
}

// NewMetrics returns Metrics that more completes each time they are read. It may be nil.
func NewMetrics(more func(context.Context, *Page)) *Metrics {
	return &Metrics{Decisions: Decisions{byAction: eachAction()}, more: more}
}

// count counts an answer. Requests for no route count under one name.
func (m *Metrics) count(route string, status int, took time.Duration) {
	route = cmp.Or(route, "none")
	n, ok := m.requests.Load(answered{route, status})
	if !ok {
		n, _ = m.requests.LoadOrStore(answered{route, status}, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
	h, ok := m.times.Load(route)
	if !ok {
		h, _ = m.times.LoadOrStore(route, new(histogram))
	}
	h.(*histogram).add(took)
}

// ServeHTTP serves the metrics.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var p Page
	m.writeRequests(&p)
	m.Decisions.write(&p)
	if m.more != nil {
		m.more(r.Context(), &p)
	}
	writeProcess(&p)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	p.b.WriteTo(w)
}

func (m *Metrics) writeRequests(p *Page) {
	var samples []Sample
	m.requests.Range(func(k, n any) bool {
		a := k.(answered)
		samples = append(samples, Value(float64(n.(*atomic.Uint64).Load()), "route", a.route, "status", strconv.Itoa(a.status)))
		return true
	})
	p.Counter("brevet_requests_total", "Requests that were answered, by route and status.", ordered(samples)...)
	var routes []string
	m.times.Range(func(route, _ any) bool {
		routes = append(routes, route.(string))
		return true
	})
	if len(routes) == 0 {
		return
	}
	p.head("brevet_request_seconds", "histogram", "How long requests took, by route.")
	slices.Sort(routes)
	for _, route := range routes {
		h, _ := m.times.Load(route)
		h.(*histogram).write(p, "brevet_request_seconds", "route", route)
	}
}

// ordered returns samples in the order of their labels.
func ordered(samples []Sample) []Sample {
	slices.SortFunc(samples, func(a, b Sample) int { return slices.Compare(a.Labels, b.Labels) })
	return samples
}
