package server

import (
	"context"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// gauges returns what /metrics reads when it is asked.
func (s *Server) gauges() map[string]func() float64 {
	return map[string]func() float64{
		"brevet_store_bytes":           func() float64 { return float64(s.db.Stats().Size) },
		"brevet_store_commits":         func() float64 { return float64(s.db.Stats().Commits) },
		"brevet_audit_events":          func() float64 { return float64(s.events()) },
		"brevet_issuer_expiry_seconds": func() float64 { return s.issuerEnds().Sub(s.clock.Now()).Seconds() },
		"brevet_crl_number": func() float64 {
			if crls := s.crl.Current(); len(crls) > 0 {
				return float64(crls[0].Number)
			}
			return 0
		},
		"brevet_crl_next_update_seconds": func() float64 {
			if crls := s.crl.Current(); len(crls) > 0 {
				return crls[0].NextUpdate.Sub(s.clock.Now()).Seconds()
			}
			return 0
		},
	}
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
