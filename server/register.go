package server

import (
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/storage"
)

// register enters the server's own names into the registry, and into the index of
// components what was registered before there was one.
func (s *Server) register(tx storage.Tx, now time.Time) error {
	if err := agents.AddAuthority(tx, s.file.TrustDomain, s.file.Names(), now); err != nil {
		return err
	}
	first, err := agents.IndexComponents(tx, now)
	if err != nil || !first {
		return err
	}
	return acme.IndexComponents(tx, now)
}
