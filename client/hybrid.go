package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// RequireHybrid makes the identity refuse every chain that has a signature
// without ML-DSA: for itself, from the authority's HTTPS, and from a peer by
// TLSConfig. The ML-DSA signatures may be alternative ones, composite, or ML-DSA
// alone. It renews the certificate under this rule, as Renew does. If that
// succeeds, it saves the rule in the directory, so that it holds after a restart
// too. Only a new enrollment takes it back.
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
	id.trust.Store(id.trust.Load().strict())
	return nil
}

// Hybrid reports whether the identity requires hybrid signatures.
func (id *Identity) Hybrid() bool { return id.trust.Load().hybrid }

// strict returns t with hybrid signatures required.
func (t *trust) strict() *trust { return &trust{t.roots, t.vouched, true} }

// HybridClientConfig returns a configuration for connections to another agent
// of the same authority: its certificate must be for host, and all signatures up to
// a pinned root must be hybrid. host is a DNS name or an IP address; "" stands for
// the name that the connection is made to, which must then be a DNS name.
//
// It works with every hybrid authority, even if crypto/tls cannot verify its
// composite or ML-DSA signatures: this package checks the chain instead, and
// ConnectionState has the verified certificate in PeerCertificates, but no
// VerifiedChains. The chain that certifies the key is hybrid. The handshake itself
// is signed with that key, which is classical; its secrecy is hybrid if both sides
// have X25519MLKEM768.
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
// a certificate, and all signatures up to a pinned root must be hybrid. The program
// finds the client's name in PeerCertificates.
func (id *Identity) HybridServerConfig() *tls.Config {
	c := id.peerConfig()
	c.ClientAuth = tls.RequireAnyClientCert // VerifyConnection does more
	c.VerifyConnection = func(s tls.ConnectionState) error {
		return id.trust.Load().strict().verifyPeer(s, "", x509.ExtKeyUsageClientAuth)
	}
	return c
}
