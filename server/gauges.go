package server

import (
	"time"

	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
)

// gauges returns the gauges that /metrics reads at each request.
func (s *Server) gauges() map[string]func() float64 {
	until := func(t time.Time) float64 { return t.Sub(s.clock.Now()).Seconds() }
	list := func(read func(*crl.CRL) float64) func() float64 {
		return func() float64 {
			if crls := s.authority.CRL.Current(); len(crls) > 0 {
				return read(crls[0])
			}
			return 0
		}
	}
	rootCRL := func() float64 {
		if end := s.authority.RootCRLEnds(); !end.IsZero() {
			return until(end)
		}
		return 0
	}
	return map[string]func() float64{
		"brevet_store_bytes":             func() float64 { return float64(storage.StatsOf(s.db).Size) },
		"brevet_store_commits":           func() float64 { return float64(storage.StatsOf(s.db).Commits) },
		"brevet_audit_events":            func() float64 { return float64(s.authority.Events()) },
		"brevet_issuer_expiry_seconds":   func() float64 { return until(s.authority.IssuerEnds()) },
		"brevet_root_crl_expiry_seconds": rootCRL,
		"brevet_crl_number":              list(func(c *crl.CRL) float64 { return float64(c.Number) }),
		"brevet_crl_next_update_seconds": list(func(c *crl.CRL) float64 { return until(c.NextUpdate) }),
	}
}
