package ca

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Request asks for a certificate.
type Request struct {
	policy.Request // whom the audit log names; Action and Subject are filled in
	Agent          agents.Name
	CSR            *CSR
	TTL            time.Duration // 0 means the agent's or the profile's
	Profile        string        // "" means the default one
	Proof          string        // how the asker proved who it is, for the audit log
	CommonName     string        // of the subject, one of the names; "" means the agent's name
	Time           time.Time     // for the authority's own certificate: when it begins, if not now

	// Proven are identifiers that the agent has just proven to control.
	Proven []agents.Identifier
	// Claim, if set, runs in the transaction that records the certificate and
	// uses up what entitles to it. Like every such function it may run twice.
	Claim func(storage.Tx, *Issued) error
}

// An Issued is a certificate as it is handed out.
type Issued struct {
	Certificate
	DER    []byte
	Issuer *Issuer
}

// Chain returns the DER certificate and those of the CAs above it, as TLS sends
// them: upwards, without the root (RFC 8446, section 4.4.2).
func (i *Issued) Chain() [][]byte { return append([][]byte{i.DER}, i.Issuer.Chain...) }

// issueAction is the one action that makes certificates; see issuedSince.
const issueAction = "certificate.issue"

// Issue makes a certificate for an agent: the only function that does. It
// decides on a snapshot, signs outside of any transaction, since a signer may
// be slow, and then, in the one transaction that records the certificate and
// its event, checks the agent again: if it was suspended meanwhile, the
// signature is thrown away. A crash before that commit leaves no record and no
// certificate that anybody has seen.
func (ca *CA) Issue(ctx context.Context, r Request) (*Issued, error) {
	now, begin, err := ca.times(r)
	if err != nil {
		return nil, err
	}
	r.Action, r.Subject = issueAction, string(r.Agent)
	cert, err := ca.sign(ctx, r, begin)
	var apart func(storage.Tx) error
	if err == nil {
		apart, err = ca.Apart(ctx, r.CSR.components, begin)
	}
	if err != nil {
		if policy.IsDenial(err) {
			err = policy.Deny(ctx, ca.db, now, r.Request, err)
		}
		return nil, err
	}
	err = policy.Do(ctx, ca.db, now, r.Request, func(tx storage.Tx) (policy.Grant, error) {
		g := policy.Grant{Credential: cert.ID.String(), Reasons: []string{r.Proof}}
		if r.Claim != nil {
			if err := r.Claim(tx, cert); err != nil {
				return g, err
			}
		}
		a, err := agents.NewStanding(tx, begin).Check(cert.Credential)
		if err != nil {
			return g, err
		}
		if _, err := r.names(ca.td, a); err != nil {
			return g, err
		}
		if err := r.CSR.components.Certify(tx, cert.ID.Expires(), begin); err != nil {
			return g, err
		}
		if err := apart(tx); err != nil {
			return g, err
		}
		if !a.Expires.IsZero() && cert.ID.Expires().After(a.Expires) {
			return g, fmt.Errorf("%w lifetime: agent %s has just been given an end at %s; ask again", agents.ErrInvalid, a.Name, a.Expires.Format(time.RFC3339))
		}
		if err := certificates.Put(tx, cert.ID.Expires(), cert.ID.Key(), cert.Certificate); err != nil {
			return g, err
		}
		return g, agents.SetCurrent(tx, agents.Current{Credential: cert.Credential, Key: r.CSR.PublicKey})
	})
	if err != nil {
		return nil, err
	}
	return cert, nil
}

// times returns when r is decided and when the certificate begins, which is the
// same for agents. Their certificates may have to wait; the authority's own must
// not, or nobody could be told why.
func (ca *CA) times(r Request) (now, begin time.Time, err error) {
	if r.Agent != agents.Authority {
		now, err = ca.clock.Issuing()
		return now, now, err
	}
	now = ca.clock.Now()
	if begin = r.Time; begin.IsZero() {
		begin = now
	}
	return now, begin, nil
}

// sign decides on a snapshot and signs.
func (ca *CA) sign(ctx context.Context, r Request, now time.Time) (*Issued, error) {
	p, err := ca.profile(r)
	if err != nil {
		return nil, err
	}
	var a agents.Agent
	err = ca.db.View(ctx, func(tx storage.Tx) (err error) {
		if a, err = agents.Get(tx, r.Agent); err != nil {
			return err
		}
		return a.Usable(now)
	})
	if err != nil {
		return nil, err
	}
	names, err := r.names(ca.td, a)
	if err != nil {
		return nil, err
	}
	issuer, err := ca.issuer(p)
	if err != nil {
		return nil, err
	}
	end, err := p.notAfter(a, r.TTL, issuer.NotAfter, now)
	if err != nil {
		return nil, err
	}
	id, err := agents.NewCredentialID(end)
	if err != nil {
		return nil, err
	}
	c := Certificate{
		Credential: agents.Credential{ID: id, Agent: a.Name, Issuer: issuer.ID, IssuedAt: now},
		NotBefore:  now.Add(-p.backdate).Truncate(time.Second),
		KeyHash:    r.CSR.components.Whole, Profile: p.name, Names: names,
	}
	der, err := issuer.sign(c, p, ca.td, cmp.Or(r.CommonName, string(a.Name)), r.CSR.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("signing certificate %s: %w", id, err)
	}
	c.Fingerprint = sha256.Sum256(der)
	return &Issued{Certificate: c, DER: der, Issuer: issuer}, nil
}

// profile returns the profile asked for. The authority's own certificate has a
// profile of its own, and no other.
func (ca *CA) profile(r Request) (*Profile, error) {
	name := r.Profile
	switch {
	case r.Agent == agents.Authority:
		name = serverProfile
	case name == "":
		name = DefaultProfile
	}
	p, ok := ca.profiles[name]
	if !ok || name == serverProfile && r.Agent != agents.Authority {
		return nil, fmt.Errorf("%w profile %.40q: this authority has no such profile", agents.ErrInvalid, name)
	}
	return p, nil
}

// names returns the registered names that the request asks for, besides those
// that every certificate of the agent has. It fails if it asks for any other.
func (r Request) names(td agents.TrustDomain, a agents.Agent) ([]agents.Identifier, error) {
	host := agents.Identifier{Type: "dns", Value: td.Host(a.Name)}
	var asked []agents.Identifier
	for _, n := range r.CSR.Names {
		if n != host && !slices.Contains(asked, n) {
			asked = append(asked, n)
		}
	}
	if err := policy.Names(a, asked, r.Proven); err != nil {
		return nil, err
	}
	for _, uri := range r.CSR.URIs {
		if uri != td.ID(a.Name) {
			return nil, fmt.Errorf("%w: %.100s", policy.ErrName, uri)
		}
	}
	for _, cn := range []string{r.CSR.CN, r.CommonName} {
		if cn != "" && cn != string(a.Name) && cn != host.Value &&
			!slices.ContainsFunc(asked, func(n agents.Identifier) bool { return n.Value == cn }) {
			return nil, fmt.Errorf("%w: the subject's common name %.100q; leave it out or put the agent's name", policy.ErrName, cn)
		}
	}
	return asked, nil
}

// sign encodes and signs the certificate of c. The subject is a common name;
// the agent's SPIFFE ID and host name always stand among the alternative names.
func (i *Issuer) sign(c Certificate, p *Profile, td agents.TrustDomain, cn string, spki []byte) ([]byte, error) {
	dns := []string{td.Host(c.Agent)}
	var ips []netip.Addr
	for _, n := range c.Names {
		if n.Type == "dns" {
			dns = append(dns, n.Value)
			continue
		}
		ip, err := netip.ParseAddr(n.Value)
		if err != nil {
			return nil, err
		}
		ips = append(ips, ip)
	}
	ski, err := keys.SubjectKeyID(spki)
	if err != nil {
		return nil, err
	}
	return i.Signer.SignCertificate(&TBSCertificate{
		Serial: c.ID[:], Issuer: i.subject, NotBefore: c.NotBefore, NotAfter: c.ID.Expires(),
		Subject: commonName(cn), PublicKey: spki,
		Extensions: join(p.usages, subjectKeyID(ski), subjectAltName(td.ID(c.Agent), dns, ips), i.extensions),
	})
}
