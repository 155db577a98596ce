package server

import (
	"crypto/tls"

	"github.com/brevet-ca/brevet/server/relying"
)

// TLSConfig asks clients for a certificate. The handlers judge the certificate, because
// a person can read their answer over HTTP. TLS itself checks that the client has the
// certificate's key.
func (s *Server) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: s.authority.Own.Get,
		ClientAuth:     tls.RequestClientCert,
		// Package tls refuses a client whose protocols it does not know; some offer
		// http/1.0 alone.
		NextProtos: []string{"h2", "http/1.1", "http/1.0"},

		GetConfigForClient: relying.KeepOffer,
	}
}
