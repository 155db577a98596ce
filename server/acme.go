package server

import (
	"context"
	"net/http"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/relying"
)

// newACME returns the part that answers ACME clients.
func (s *Server) newACME() *acme.Service {
	return acme.New(acme.Config{
		DB: s.db, Policy: s.policy, CA: s.authority.CA, TrustDomain: s.file.TrustDomain, Address: s.authority.Address, Challenges: s.file.ACME, KeyMaxAge: s.file.KeyMaxAges.ACME,
		Clock: s.clock, Log: s.Log,
		Revoked: func(ctx context.Context) error { _, err := s.authority.CRL.Publish(ctx); return err },
		Served: func(r *http.Request, n agents.Name, issuer string) {
			s.relying.Request(r, n, issuer, relying.ACME)
		},
	})
}
