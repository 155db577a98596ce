//go:build otel

package server

import "github.com/brevet-ca/brevet/server/telemetry/otlp"

// traces has the server export traces of requests, if brevet.yaml says where to.
func traces(s *Server) error {
	if s.file.Telemetry.OTLP == "" {
		return nil
	}
	e, err := otlp.New(s.file.Telemetry.OTLP, otlp.From{TrustDomain: string(s.file.TrustDomain), Version: s.Version}, s.Log)
	if err != nil {
		return err
	}
	s.metrics.Traced, s.traces = e.Add, e.Run
	return nil
}
