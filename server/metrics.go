package server

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// metrics counts requests and reads the state of the store when asked. Labels
// are routes and statuses: nothing that a client chooses.
type metrics struct {
	set    *vm.Set
	routes sync.Map // answered to *counters: their names are long to make
}

// An answered names the requests that are counted together.
type answered struct {
	route  string
	status int
}

type counters struct {
	requests *vm.Counter
	seconds  *vm.PrometheusHistogram
}

func newMetrics(s *Server) *metrics {
	m := &metrics{set: vm.NewSet()}
	m.set.NewGauge("brevet_store_bytes", func() float64 { return float64(s.db.Stats().Size) })
	m.set.NewGauge("brevet_store_commits", func() float64 { return float64(s.db.Stats().Commits) })
	m.set.NewGauge("brevet_audit_events", func() float64 { return float64(s.events()) })
	m.set.NewGauge("brevet_issuer_expiry_seconds", func() float64 { return s.issuerEnds().Sub(s.clock.Now()).Seconds() })
	m.set.NewGauge("brevet_crl_number", func() float64 {
		if crls := s.crl.Current(); len(crls) > 0 {
			return float64(crls[0].Number)
		}
		return 0
	})
	m.set.NewGauge("brevet_crl_next_update_seconds", func() float64 {
		if crls := s.crl.Current(); len(crls) > 0 {
			return crls[0].NextUpdate.Sub(s.clock.Now()).Seconds()
		}
		return 0
	})
	return m
}

// count counts an answer. Requests for no route count under one name.
func (m *metrics) count(route string, status int, took time.Duration) {
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

func (m *metrics) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	m.set.WritePrometheus(w)
	vm.WriteProcessMetrics(w)
}

// events returns the size of the audit log.
func (s *Server) events() int64 {
	var n int64
	s.db.View(context.Background(), func(tx storage.Tx) (err error) {
		n, err = audit.Size(tx)
		return err
	})
	return n
}
