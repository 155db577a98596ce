// Package client is the agent's side: it enrolls, keeps a certificate fresh,
// and gets access tokens. Programs use it as a library; the verbs of brevet
// client call it.
//
// [Enroll] makes a key, trades a one-time token for a certificate and saves an
// [Identity] in a directory; [Load] finds it there. The certificate lives for
// minutes, and may be renewed for some time after its end. [Identity.Run] renews it, in
// this process or in another one over the same directory. [Identity.TLSConfig] and
// [TokenSource] follow by themselves.
//
// An agent whose key is registered with the authority enrolls with that lasting key in place
// of a token, and comes back with it when nothing else helps.
//
// Keys never leave the machine, and each certificate has a new one. The agent
// trusts the root whose fingerprint it was given at the enrollment. If the authority
// replaces its root, a renewal takes the new one, but only if a trusted root vouches for
// it, and drops the old one when the new one says that it is withdrawn, and with it the
// roots for which only the old one vouched. Not built: ACME, for which agents
// have certbot and similar clients, and DPoP.
//
// An identity may require that all signatures are hybrid, see
// [Identity.RequireHybrid]. Package pqc/inspect checks certificates, CRLs,
// requests and JWS in files, also those of other authorities.
package client

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"sync/atomic"
	"time"
)

// An Identity is an enrolled agent: its current certificate, the key of it and
// the authority that issued it. Its methods may be called concurrently.
type Identity struct {
	// Renewals ask for these; the authority's registry decides. Set them
	// before the first renewal.
	Names   []string      // DNS names and IP addresses; nil means all registered ones if the enrollment named none, else those of the current certificate
	TTL     time.Duration // 0 means what the agent or the profile has
	Profile string        // "" means the one that the enrollment or UseProfile chose, or else the default one

	dir       directory
	authority atomic.Pointer[endpoint] // another one after the authority has moved
	trust     atomic.Pointer[trust]
	renewing  sync.Mutex             // one renewal at a time
	followed  []string               // fingerprints of the published roots that follow has looked into
	looked    time.Time              // when it did
	chosen    atomic.Pointer[string] // the profile in client.json, as last read
	current   atomic.Pointer[pair]
}

// Load returns the identity that [Enroll] saved in dir. Its certificate may
// have expired since.
func Load(dir string) (*Identity, error) {
	s, err := directory(dir).load()
	if err != nil {
		return nil, err
	}
	return newIdentity(directory(dir), endpoint{url: s.server}, *s), nil
}

func newIdentity(d directory, e endpoint, s saved) *Identity {
	id := &Identity{dir: d}
	id.authority.Store(&e)
	id.trust.Store(s.trust)
	id.chosen.Store(&s.profile)
	id.current.Store(s.pair)
	return id
}

// IsOperator reports whether this is the identity of an operator of the authority, not of an
// agent: it renews as an agent's does, and authenticates at listen_admin alone.
func (id *Identity) IsOperator() bool {
	return id.pair().isOperator()
}

// Agent returns the agent's name, or the operator's.
func (id *Identity) Agent() string { return id.pair().agent() }

// Server returns the URL of the authority. It changes when the authority has moved.
func (id *Identity) Server() string { return id.at().url }

// at returns where the authority is.
func (id *Identity) at() endpoint { return *id.authority.Load() }

// Certificate returns the current certificate, which the caller does not change.
func (id *Identity) Certificate() *x509.Certificate { return id.pair().Leaf }

// String returns the agent's SPIFFE ID.
func (id *Identity) String() string { return spiffeID(id.Certificate()) }

// TLSConfig returns a configuration for clients and servers that presents the
// current certificate in each handshake and trusts only the authority's root.
// A server that wants to know its clients sets ClientAuth.
//
// A configuration trusts the roots that the identity trusts when it is made. If the
// authority replaces its root, make a new one before the old root is withdrawn: a server
// can do so for each connection, by GetConfigForClient.
//
// A connection keeps the certificate it began with. A program that sends
// certificate-bound tokens (RFC 8705, section 3) over connections it keeps
// closes the idle ones when the certificate changes: Run reports that.
//
// The standard library verifies the chain. So it refuses an agent whose certificate
// has a composite signature or only an ML-DSA signature: HybridClientConfig and
// HybridServerConfig are for such agents. If the identity requires hybrid
// signatures, the peer's chain must have them, too.
func (id *Identity) TLSConfig() *tls.Config {
	c := id.peerConfig()
	c.VerifyConnection = func(s tls.ConnectionState) error {
		t := id.trust.Load()
		if !t.hybrid || len(s.PeerCertificates) == 0 { // ClientAuth says whether there must be one
			return nil
		}
		return t.verifyPeer(s, "", x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth) // crypto/tls has checked for which name and use
	}
	return c
}

// peerConfig presents the current certificate, and trusts the pinned roots.
func (id *Identity) peerConfig() *tls.Config {
	t := id.trust.Load()
	return &tls.Config{
		MinVersion:           tls.VersionTLS12,
		RootCAs:              t.pool(),
		ClientCAs:            t.pool(),
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &id.pair().Certificate, nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &id.pair().Certificate, nil },
	}
}

// pair returns the current pair. Memory has a copy of the pair in the directory. Once
// the copy should have been renewed, pair looks into the directory, because another
// process may have put a successor there.
func (id *Identity) pair() *pair {
	p := id.current.Load()
	if time.Now().Before(p.renewAt) {
		return p
	}
	return id.adopt()
}

// adopt takes over the pair in the directory. It does not if that cannot be read, is
// another agent's, or is older than the pair in memory, which then could not be saved.
func (id *Identity) adopt() *pair {
	p := id.current.Load()
	saved, err := id.dir.loadPair()
	if err != nil || saved.Leaf.Equal(p.Leaf) || saved.Leaf.NotBefore.Before(p.Leaf.NotBefore) || spiffeID(saved.Leaf) != spiffeID(p.Leaf) {
		return p
	}
	if id.current.CompareAndSwap(p, saved) {
		close(p.replaced)
		id.adoptServer()
		if t := id.trust.Load(); t != nil {
			if roots, err := id.dir.trust(t.hybrid); err == nil { // the other process may have followed a new root
				id.trust.CompareAndSwap(t, roots)
			}
		}
	}
	return id.current.Load()
}

// replace makes p the current pair.
func (id *Identity) replace(p *pair) { close(id.current.Swap(p).replaced) }
