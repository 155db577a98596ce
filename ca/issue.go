package ca

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Request asks for a certificate.
type Request struct {
	Claim      policy.Claim // the agent that asks, or for which an operator asks
	OnBehalfOf string       // for whom, if not for itself
	CSR        *CSR
	TTL        time.Duration // 0 means the agent's or the profile's
	Profile    string        // "" means the default one
	Exact      bool          // the certificate has the names of the CSR and CommonName, and no other
	Registered bool          // a CSR without any name asks for all that are registered and need no proof
	CommonName string        // of the subject, one of the names; "" means the agent's name, or none if Exact
	Time       time.Time     // for the authority's own certificate: when it begins, if not now

	// Proven are identifiers that the agent has just proven to control.
	Proven []agents.Identifier
	// Consume, if set, runs in the transaction that records the certificate, after the
	// claim was checked there. It uses up the order that the certificate was issued for.
	// Like every such function it may run twice.
	Consume func(storage.Tx, *Issued) error
}

// An Issued is a certificate as the agent gets it.
type Issued struct {
	Certificate
	DER    []byte
	Issuer *Issuer

	RenewUntil time.Time // when it cannot renew any more
}

// Chain returns the DER certificate and those of the CAs above it, as TLS sends
// them: upwards, without the root (RFC 8446, section 4.4.2).
func (i *Issued) Chain() [][]byte { return append([][]byte{i.DER}, i.Issuer.Chain...) }

// Issue makes a certificate for an agent. No other function does. It decides on a
// snapshot and signs outside of any transaction, because a signer may be slow. The
// transaction that records the certificate and its event checks whether the
// decision still holds: if the agent was suspended meanwhile, the signature is
// thrown away. A crash before that commit leaves no record, and nobody has seen the
// certificate.
func (ca *CA) Issue(ctx context.Context, r Request) (*Issued, error) {
	now, begin, err := ca.times(r)
	if err != nil {
		return nil, err
	}
	i := issuance{ca: ca, Request: r, begin: begin}
	if err := ca.policy.Do(ctx, r.query(now, begin), policy.Act{Ask: i.ask, Prepare: i.sign, Change: i.record}); err != nil {
		return nil, err
	}
	return i.made, nil
}

// agent is who gets the certificate.
func (r Request) agent() agents.Name { return r.Claim.Agent() }

// query asks whether the certificate may be had. Its limits follow in ask.
func (r Request) query(now, begin time.Time) policy.Query {
	return policy.Query{
		Claim: r.Claim, Principal: r.Claim.Principal(), OnBehalfOf: r.OnBehalfOf, Action: audit.CertificateIssue, Subject: string(r.agent()),
		Time: now, Begins: begin, Agent: r.agent(), Proven: r.Proven, Lifetime: r.TTL, Proof: r.Claim.Proof(),
		KeyThumbprint: hex.EncodeToString(r.CSR.components.Whole[:]),
	}
}

// An issuance is a certificate in the making, phase by phase.
type issuance struct {
	Request
	ca      *CA
	begin   time.Time
	profile *Profile
	issuer  *Issuer // nil if no issuer can sign
	none    error   // why none can
	made    *Issued
	cleared components.Clearance

	unsettled time.Time // see agents.Certifiable
}

// ask adds the names and the limits of the profile to the query.
func (i *issuance) ask(tx storage.Tx, q *policy.Query) (err error) {
	if i.unsettled, err = uncompromised(tx, i.CSR.components.Whole, i.begin); err != nil {
		return err
	}
	if i.profile, err = i.ca.profile(i.agent(), i.Profile); err != nil {
		return err
	}
	i.issuer, i.none = i.ca.issuer(i.profile)
	q.Names, q.Profile, q.Limits = i.asked(i.ca.td), i.profile.name, i.profile.limits(i.issuer)
	if len(q.Names) == 0 && i.Registered {
		q.Names, err = i.registered(tx)
	}
	return err
}

// registered returns the names that a request which asks for none stands for.
func (i *issuance) registered(tx storage.Tx) ([]agents.Identifier, error) {
	if asked, err := i.CSR.Asked(i.ca.td, i.agent()); err != nil || len(asked) > 0 {
		return nil, nil // check tells of the error
	}
	a, err := agents.Get(tx, i.agent())
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil // which refuses the request
	}
	return slices.DeleteFunc(slices.Clone(a.Identifiers), func(n agents.Identifier) bool { return n.Challenge }), err
}

// sign signs what was granted, with the issuer of the profile.
func (i *issuance) sign(ctx context.Context, d *policy.Decision) error {
	if err := i.check(i.ca.td); err != nil {
		return err
	}
	if i.none != nil {
		return i.none
	}
	if i.CSR.MustStaple && i.ca.baseURL() == "" {
		return fmt.Errorf("%w certificate request: it asks for status_request (must-staple), and this authority answers no OCSP", agents.ErrInvalid)
	}
	id, err := agents.NewCredentialID(d.Granted.NotAfter)
	if err != nil {
		return err
	}
	c := Certificate{
		Credential: agents.Credential{ID: id, Agent: i.agent(), Issuer: i.issuer.ID, IssuedAt: i.begin},
		NotBefore:  i.begin.Add(-i.profile.backdate).Truncate(time.Second),
		KeyHash:    i.CSR.components.Whole, Profile: i.profile.name, Names: d.Granted.Names, HostName: i.hostName(i.ca.td),
	}
	der, err := i.issuer.sign(c, i.profile, i.ca.td, i.Request)
	if err != nil {
		return fmt.Errorf("signing certificate %s: %w", id, err)
	}
	c.Fingerprint = sha256.Sum256(der)
	i.made = &Issued{Certificate: c, DER: der, Issuer: i.issuer}
	i.cleared, err = i.ca.Clear(ctx, i.ca.clock.Earliest(), i.CSR.components)
	return err
}

// record records the certificate. It checks that the new credential is alive: its
// agent or its issuer may have been cut off meanwhile.
func (i *issuance) record(tx storage.Tx, d *policy.Decision) (policy.Done, error) {
	cert := i.made
	done := policy.Done{Credential: cert.ID.String(), Reasons: []string{i.Claim.Proof().String()}}
	if i.Consume != nil {
		if err := i.Consume(tx, cert); err != nil {
			return done, err
		}
	}
	alive := cert.Credential
	if err := stopped(tx, alive.Issuer); err != nil {
		if i.agent() != agents.Authority {
			return done, err
		}
		// The server's own HTTPS goes on: see ErrStopped.
		alive.Issuer = ""
	}
	if _, err := d.Standing().Check(alive); err != nil {
		return done, err
	}
	quotas, err := i.ca.policy.QuotasOf(tx, i.agent(), d)
	if err != nil {
		return done, err
	}
	if err := agents.Certifiable(tx, i.agent(), quotas, cert.KeyHash, i.unsettled); err != nil {
		return done, err
	}
	if err := agents.CertifyKey(tx, i.agent(), i.CSR.components, cert.ID.Expires(), i.ca.clock.Earliest()); err != nil {
		return done, err
	}
	if err := i.CSR.components.Certify(tx, cert.ID.Expires(), i.begin, i.cleared); err != nil {
		return done, err
	}
	if err := certificates.Put(tx, cert.ID.Expires(), cert.ID.Key(), cert.Certificate); err != nil {
		return done, err
	}
	return done, i.remember(tx)
}

// remember puts the certificate on the agent's list, in place of the one that renewed.
func (i *issuance) remember(tx storage.Tx) error {
	a, err := agents.Get(tx, i.agent())
	if err != nil {
		return err
	}
	grace := a.RenewGraceOf(i.ca.grace)
	i.made.RenewUntil = i.made.ID.Expires().Add(grace)
	before, _ := agents.ParseCredentialID(i.Claim.Proof().Certificate()) // zero for other evidence
	return agents.SetCurrent(tx, agents.Current{Credential: i.made.Credential, Key: i.CSR.PublicKey, Fingerprint: i.made.Fingerprint}, before, grace)
}

// times returns when r is decided and when the certificate begins. For agents that
// is the same. Agents get nothing while the machine's clock is wrong, but the
// authority renews its own certificate even then: otherwise it could not tell
// agents why they have to wait.
func (ca *CA) times(r Request) (now, begin time.Time, err error) {
	if _, person := r.agent().Person(); person {
		ca.clock.Cover(OperatorLifetime)
	}
	if r.agent() != agents.Authority {
		now, err = ca.clock.Issuing()
		return now, now, err
	}
	now = ca.clock.Now()
	if begin = r.Time; begin.IsZero() {
		begin = now
	}
	return now, begin, nil
}

// profile returns the profile that the agent n asks for. The authority's own certificate has a
// profile of its own, and no other, and so have those of operators.
func (ca *CA) profile(n agents.Name, name string) (*Profile, error) {
	if _, person := n.Person(); person && name == "" {
		return operatorProfile, nil
	} else if person {
		return nil, fmt.Errorf("%w profile %.40q: operators have a profile of their own", agents.ErrInvalid, name)
	}
	switch {
	case n == agents.Authority:
		name = serverProfile
	case name == "":
		name = DefaultProfile
	}
	p, ok := (*ca.profiles.Load())[name]
	if !ok || name == serverProfile && n != agents.Authority {
		return nil, fmt.Errorf("%w profile %.40q: this authority has no such profile", agents.ErrInvalid, name)
	}
	return p, nil
}

// asked returns the names that the request asks for, besides those that every agent has.
func (r Request) asked(td agents.TrustDomain) []agents.Identifier {
	names, _ := r.CSR.Asked(td, r.agent()) // check tells of the error
	return slices.DeleteFunc(slices.Clone(names), func(n agents.Identifier) bool { return n == host(td, r.agent()) })
}

// hostName reports whether the certificate will have the agent's host name.
func (r Request) hostName(td agents.TrustDomain) bool {
	names, _ := r.CSR.Asked(td, r.agent())
	_, person := r.agent().Person()
	return !person && (!r.Exact || slices.Contains(names, host(td, r.agent())))
}

// ownName returns the agent's or the person's name, for the subject.
func ownName(n agents.Name) string {
	if person, ok := n.Person(); ok {
		return person
	}
	return string(n)
}

func host(td agents.TrustDomain, n agents.Name) agents.Identifier {
	return agents.Identifier{Type: "dns", Value: td.Host(n)}
}

// check refuses a request for URIs or common names that the certificate will not
// have.
func (r Request) check(td agents.TrustDomain) error {
	names, err := r.CSR.Asked(td, r.agent())
	if err != nil {
		return err
	}
	if cn := r.CommonName; cn != "" && cn != ownName(r.agent()) && !slices.ContainsFunc(append(slices.Clip(names), host(td, r.agent())), func(n agents.Identifier) bool { return n.Value == cn }) {
		return fmt.Errorf("%w: the common name %.100q", policy.ErrName, cn)
	}
	return nil
}

// sign encodes and signs the certificate of c for the request r. The agent's SPIFFE ID
// always stands among the alternative names.
func (i *Issuer) sign(c Certificate, p *Profile, td agents.TrustDomain, r Request) ([]byte, error) {
	var dns []string
	var ips []netip.Addr
	if c.HostName {
		dns = append(dns, td.Host(c.Agent))
	}
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
	ski, err := keys.SubjectKeyID(r.CSR.PublicKey)
	if err != nil {
		return nil, err
	}
	cn := r.CommonName
	if cn == "" && !r.Exact {
		cn = ownName(c.Agent)
	}
	extensions := join(p.usages, subjectKeyID(ski), subjectAltName(cn == "", td.ID(c.Agent), dns, ips), i.extensions)
	if r.CSR.MustStaple {
		extensions = join(extensions, tlsFeature())
	}
	return i.Signer.signCertificate(&tbsCertificate{
		Serial: c.ID[:], Issuer: i.subject, NotBefore: c.NotBefore, NotAfter: c.ID.Expires(),
		Subject: commonName(cn), PublicKey: r.CSR.PublicKey, Extensions: extensions,
	})
}
