package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// tlsCertificate is the server's own certificate: issued and recorded like any
// other, to the agent agents.Authority, and renewed when two thirds of its hour
// are over.
type tlsCertificate struct {
	current atomic.Pointer[tls.Certificate]
	mu      sync.Mutex // one renewal at a time
}

// due reports whether the certificate is to be renewed, and whether it can
// still be used until then.
func due(c *tls.Certificate, now time.Time) (renew, usable bool) {
	if c == nil {
		return true, false
	}
	life := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)
	usable = !now.Before(c.Leaf.NotBefore) && now.Before(c.Leaf.NotAfter)
	return !usable || now.After(c.Leaf.NotAfter.Add(-life/3)), usable
}

// getCertificate gives a handshake the current certificate. One that is over,
// say because the machine slept, or not valid yet, since the clock was set back,
// is renewed while the client waits; one that is merely due is renewed by the
// loop. If it cannot be renewed, the client may judge the old one.
func (s *Server) getCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := s.tls.current.Load()
	if _, usable := due(c, s.clock.Shown()); usable {
		return c, nil
	}
	if err := s.renew(context.Background()); err != nil {
		s.Log.Error("the server's certificate cannot be used and not be renewed", "error", err)
	}
	return s.tls.current.Load(), nil
}

// renew issues the server's certificate anew if it is due.
func (s *Server) renew(ctx context.Context) error {
	s.tls.mu.Lock()
	defer s.tls.mu.Unlock()
	now := s.clock.Shown()
	if renew, _ := due(s.tls.current.Load(), now); !renew {
		return nil
	}
	// Asking in vain would be recorded as a denial, with urgency: strangers, whose
	// handshakes come here, must not decide how often that is.
	if issuer := s.ca.HTTPSIssuer(); !now.Before(issuer.NotAfter) {
		return fmt.Errorf("its issuer ended at %s", issuer.NotAfter.Format(time.RFC3339))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	csr, err := s.ownRequest(key)
	if err != nil {
		return err
	}
	issued, err := s.ca.Issue(storage.Urgent(ctx), ca.Request{
		Request: policy.Request{Actor: "system"}, Agent: agents.Authority, CSR: csr, Proof: "this server", Time: now,
	})
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(issued.DER)
	if err != nil {
		return err
	}
	s.tls.current.Store(&tls.Certificate{Certificate: issued.Chain(), PrivateKey: key, Leaf: leaf})
	return nil
}

// ownRequest is the request for all names that the server has.
func (s *Server) ownRequest(key *ecdsa.PrivateKey) (*ca.CSR, error) {
	var t x509.CertificateRequest
	names := s.file.Names()
	t.DNSNames = names.DNS
	for _, ip := range names.IPs {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(ip))
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &t, key)
	if err != nil {
		return nil, err
	}
	return ca.ParseCSR(der)
}

// tlsConfig asks clients for a certificate but leaves it to the handlers what
// one is worth: they say so over HTTP, where a person can read it. That the
// client has the certificate's key, TLS has checked by then.
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: s.getCertificate,
		ClientAuth:     tls.RequestClientCert,

		GetConfigForClient: relying.KeepOffer,
	}
}

// presented returns what the client presented on r's connection, for package
// oauth, or nil.
func (s *Server) presented(tx storage.Tx, r *http.Request, now time.Time) (*oauth.Presented, error) {
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
