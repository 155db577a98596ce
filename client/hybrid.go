package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// RequireHybrid has the identity take no chain from now on that does not rest
// on ML-DSA signatures throughout, be they alternative ones, composite or ML-DSA
// alone: neither for itself, nor from the authority's HTTPS, nor from a peer by
// TLSConfig. It renews the certificate under these terms, as Renew does, and
// only if that succeeds they are saved in the directory, to hold after a restart
// too. Nothing but an enrollment takes them back.
func (id *Identity) RequireHybrid(ctx context.Context) error {
	id.renewing.Lock()
	defer id.renewing.Unlock()
	strict := id.trust.Load().strict()
	if err := id.renew(ctx, strict, ""); err != nil {
		return fmt.Errorf("requiring hybrid signatures: %w", err)
	}
	if err := id.dir.locked(func() error { return id.dir.note("require_hybrid", true) }); err != nil {
		return fmt.Errorf("requiring hybrid signatures: %w", err)
	}
	id.trust.Store(strict)
	return nil
}

// Hybrid reports whether the identity requires hybrid signatures.
func (id *Identity) Hybrid() bool { return id.trust.Load().hybrid }

// strict returns t with hybrid signatures required.
func (t *trust) strict() *trust { return &trust{roots: t.roots, hybrid: true} }

// HybridClientConfig returns a configuration for connections to another agent
// of the same authority: its certificate must be for host and lead to a pinned
// root by hybrid signatures alone. host is a DNS name or an IP address; "" stands
// for the name that the connection is made to, which must then be a DNS name.
//
// It works with every authority that is hybrid, also with those whose composite
// or ML-DSA signatures crypto/tls cannot verify: all that it would check of a
// chain is checked here in its place, and ConnectionState has the verified
// certificate in PeerCertificates, but no VerifiedChains. What is hybrid is who
// vouches for the key. The handshake itself is signed with that key, a
// classical one; its secrecy is hybrid where both sides have X25519MLKEM768.
func (id *Identity) HybridClientConfig(host string) *tls.Config {
	c := id.peerConfig()
	c.ServerName = host
	c.InsecureSkipVerify = true // VerifyConnection does more
	c.VerifyConnection = func(s tls.ConnectionState) error {
		name := host
		if name == "" {
			name = s.ServerName
		}
		if name == "" { // which it is for addresses
			return errors.New("whom the certificate must be for is not known: give HybridClientConfig the address")
		}
		return id.trust.Load().strict().verifyPeer(s, name, x509.ExtKeyUsageServerAuth)
	}
	return c
}

// HybridServerConfig is the other side of HybridClientConfig: clients must show
// a certificate that leads to a pinned root by hybrid signatures alone. Who the
// client is, the program reads from PeerCertificates.
func (id *Identity) HybridServerConfig() *tls.Config {
	c := id.peerConfig()
	c.ClientAuth = tls.RequireAnyClientCert // VerifyConnection does more
	c.VerifyConnection = func(s tls.ConnectionState) error {
		return id.trust.Load().strict().verifyPeer(s, "", x509.ExtKeyUsageClientAuth)
	}
	return c
}
