package authority

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Own is the server's own certificate: issued and recorded like any other, to the agent
// agents.Authority, and renewed when two thirds of its hour are over.
type Own struct {
	ca    *ca.CA
	clock *clock.Clock
	log   *slog.Logger

	current atomic.Pointer[tls.Certificate]
	mu      sync.Mutex // one renewal at a time; protects names and outdated
	names   agents.Change

	outdated bool // the certificate has other names
}

// SetNames gives the server other names, which are registered already. The next Renew
// makes a certificate for them.
func (o *Own) SetNames(names agents.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.names, o.outdated = names, true
}

// Has reports whether the server has exactly these names.
func (o *Own) Has(names agents.Change) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Equal(o.names.DNS, names.DNS) && slices.Equal(o.names.IPs, names.IPs)
}

// Current returns the certificate, or nil before the first Renew.
func (o *Own) Current() *tls.Certificate { return o.current.Load() }

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

// Get is a [tls.Config.GetCertificate]. A certificate that has expired (the machine
// slept) or is not valid yet (the clock was set back) is renewed while the client
// waits. If it cannot be renewed, the client gets the old one and may judge it. Get
// does not renew a certificate that is merely due: the server calls Renew regularly.
func (o *Own) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := o.current.Load()
	if _, usable := due(c, o.clock.Shown()); usable {
		return c, nil
	}
	if err := o.Renew(context.Background()); err != nil {
		o.log.Error("the server's certificate cannot be used and not be renewed", "error", err)
	}
	return o.current.Load(), nil
}

// Renew replaces the server's certificate if that is due, or if the server has other names.
func (o *Own) Renew(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if renew, _ := due(o.current.Load(), o.clock.Shown()); !renew && !o.outdated {
		return nil
	}
	return o.replace(ctx)
}

// Replace replaces the server's certificate if another issuer has taken the place of the
// one that signed it, or if other roots certify that. It makes the first certificate, too.
func (o *Own) Replace(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := o.current.Load(); c != nil && slices.EqualFunc(c.Certificate[1:], o.ca.HTTPSIssuer().Chain, bytes.Equal) {
		return nil
	}
	return o.replace(ctx)
}

func (o *Own) replace(ctx context.Context) error {
	now := o.clock.Shown()
	// A request in vain would be recorded as a denial, urgently. The handshakes of
	// strangers come here, and they must not decide how often that happens.
	if issuer := o.ca.HTTPSIssuer(); !now.Before(issuer.NotAfter) {
		return fmt.Errorf("its issuer ended at %s", issuer.NotAfter.Format(time.RFC3339))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	csr, err := o.request(key)
	if err != nil {
		return err
	}
	issued, err := o.ca.Issue(storage.Urgent(ctx), ca.Request{
		Claim: policy.NewClaim(policy.System, agents.Authority, audit.ByServer, nil), CSR: csr, Time: now,
	})
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(issued.DER)
	if err != nil {
		return err
	}
	o.current.Store(&tls.Certificate{Certificate: issued.Chain(), PrivateKey: key, Leaf: leaf})
	o.outdated = false
	return nil
}

// request is the request for all names that the server has.
func (o *Own) request(key *ecdsa.PrivateKey) (*ca.CSR, error) {
	var t x509.CertificateRequest
	t.DNSNames = o.names.DNS
	for _, ip := range o.names.IPs {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(ip))
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &t, key)
	if err != nil {
		return nil, err
	}
	return ca.ParseCSR(der)
}
