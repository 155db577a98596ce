//go:build !otel

package server

import "errors"

// traces refuses to export traces: this program was built without the tag otel.
func traces(s *Server) error {
	if s.file.Telemetry.OTLP == "" {
		return nil
	}
	return errors.New("brevet.yaml has telemetry: {otlp: …}, and this brevet cannot export traces: take the key away, or build brevet with the tag otel")
}
