// Package telemetry counts and logs requests, and serves metrics in the text format
// of Prometheus. Labels are routes and statuses; clients cannot choose them.
package telemetry

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// Metrics counts requests, and reads gauges when somebody asks for the metrics.
type Metrics struct {
	set    *vm.Set
	routes sync.Map // answered to *counters: their names take long to make
}

// An answered is a route and a status: requests with the same are counted together.
type answered struct {
	route  string
	status int
}

type counters struct {
	requests *vm.Counter
	seconds  *vm.PrometheusHistogram
}

// NewMetrics returns Metrics that read the gauges by name.
func NewMetrics(gauges map[string]func() float64) *Metrics {
	m := &Metrics{set: vm.NewSet()}
	for name, read := range gauges {
		m.set.NewGauge(name, read)
	}
	return m
}

// count counts an answer. Requests for no route count under one name.
func (m *Metrics) count(route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	c, ok := m.routes.Load(answered{route, status})
	if !ok {
		c, _ = m.routes.LoadOrStore(answered{route, status}, &counters{
			m.set.GetOrCreateCounter(fmt.Sprintf(`brevet_requests_total{route=%q,status="%d"}`, route, status)),
			m.set.GetOrCreatePrometheusHistogram(fmt.Sprintf(`brevet_request_seconds{route=%q}`, route)),
		})
	}
	c.(*counters).requests.Inc()
	c.(*counters).seconds.Update(took.Seconds())
}

// ServeHTTP serves the counts, the gauges and metrics of the process.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	m.set.WritePrometheus(w)
	vm.WriteProcessMetrics(w)
}
