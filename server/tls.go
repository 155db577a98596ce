package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens/oauth"
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

// presented returns, for package oauth, the certificate that the client presented on
// r's connection, or nil.
func presented(tx storage.Tx, r *http.Request, now time.Time) (*oauth.Presented, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	a, c, err := ca.Authenticate(tx, r.TLS.PeerCertificates[0], now)
	if errors.Is(err, ca.ErrNotOurs) {
		err = fmt.Errorf("%w: %w", oauth.ErrClient, err)
	}
	if c.Agent == "" {
		return nil, err
	}
	a.Name = c.Agent
	return &oauth.Presented{Agent: a, Credential: c.Credential, Thumbprint: c.Fingerprint}, err
}
