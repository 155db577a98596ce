package server

import (
	"net/http"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// MetricsHandler serves GET /metrics, in the text format of Prometheus, as Run does at
// listen_metrics. The counts tell which requests fail and how often the store is written,
// so a program that mounts the handler must keep strangers away from it. It answers 503
// when [Server.Handler] does.
func (s *Server) MetricsHandler() http.Handler {
	return s.observed(s.mounted.admit(s.metricsHandler()))
}

func (s *Server) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	// As a function: as a value in an interface, it would link all that metrics can do.
	mux.HandleFunc(api.Metrics.Route(), s.metrics.ServeHTTP)
	return mux
}

// operatorHandler serves operators over their socket. Metrics are there, too, and not on
// the listener for agents: they count what happens to known names, so a stranger who reads
// them learns which names exist. Only requests of operators get here, and each of them is logged.
func (s *Server) operatorHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(api.Metrics.Route(), s.admin.Reading(s.metrics.ServeHTTP))
	mux.Handle("/", s.admin)
	limited := s.admin.Limited(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if known, ok := w.(interface{ Prove() }); ok {
			known.Prove()
		}
		limited.ServeHTTP(w, r)
	})
}
