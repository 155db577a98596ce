package client

import (
	"crypto/x509"
	"time"
)

// A Description is what an identity consists of. It holds no secret.
type Description struct {
	Agent, ID, Server, Dir string

	Chain    []*x509.Certificate // the agent's certificate first, without the root
	RenewDue time.Time           // when Run renews the certificate, give or take a twelfth of its life
	LastCall time.Time           // when it cannot renew any more

	Profile         string // that renewals ask for; "" means the default one
	RegisteredNames bool   // renewals ask for all registered names
	RequireHybrid   bool
	LastingKey      string // file of the registered key, or ""
	LastingKeyError error  // why that cannot be read, if so

	Roots []*x509.Certificate // trusted ones
}

// Describe reads the identity in dir and returns what it consists of. It needs no network.
func Describe(dir string) (Description, error) {
	id, err := Load(dir)
	if err != nil {
		return Description{}, err
	}
	set, err := id.dir.settings()
	if err != nil {
		return Description{}, err
	}
	p := id.current.Load()
	d := Description{
		Agent: p.agent(), ID: spiffeID(p.Leaf), Server: id.Server(), Dir: dir,
		RenewDue: p.Leaf.NotAfter.Add(-p.Leaf.NotAfter.Sub(p.Leaf.NotBefore) / 3), LastCall: id.end(p),
		Profile: set.Profile, RegisteredNames: set.Registered, RequireHybrid: set.RequireHybrid, LastingKey: set.Key,
	}
	d.LastingKeyError = id.checkLasting()
	for _, der := range p.Certificate.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return d, err
		}
		d.Chain = append(d.Chain, c)
	}
	for _, root := range id.trust.Load().roots {
		d.Roots = append(d.Roots, root.X509)
	}
	return d, nil
}

// Constrained reports whether a root vouches for some DNS names and some addresses only (RFC
// 5280, section 4.2.1.10), by an extension that no verifier may ignore.
func Constrained(root *x509.Certificate) bool {
	return root.PermittedDNSDomainsCritical && len(root.PermittedDNSDomains) > 0 && len(root.PermittedIPRanges)+len(root.ExcludedIPRanges) > 0
}
