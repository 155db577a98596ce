// Package ca is the certificate authority: the one place that signs X.509
// (RFC 5280) and, in [CA.Issue], the one function that makes a certificate for
// an agent.
//
// A root signs issuing CAs and an issuing CA signs the certificates of agents,
// which live for minutes. Other CAs may stand between the two: an [Issuer] has
// its whole chain. A [Profile] may name the algorithm of its issuer: then an
// issuer with exactly that algorithm signs, or none does. Names, permissions and
// ends come from the registry; a certificate request (RFC 2986) proves possession
// of a key and may narrow the rest. The record of a certificate is kept by serial
// number until it has expired; agents.Standing says whether it may still be used.
//
// This package has its own encoder for certificates: crypto/x509 builds each by
// reflection and verifies its signature, which costs more than to sign. Package
// pqc/pkix makes the signatures, classical and post-quantum. Not built: policy
// mappings, name constraints.
package ca

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Config is what a CA is made of.
type Config struct {
	DB          storage.DB
	Policy      *policy.Point
	Keys        keys.Source
	TrustDomain agents.TrustDomain
	BaseURL     string // of the plain HTTP listener, which serves CRLs, issuers' certificates and OCSP; no slash at its end
	Profiles    map[string]ProfileConfig
	Clock       *clock.Clock
	RenewGrace  time.Duration // for how long after its end a certificate may renew, if its agent has no window of its own
}

// A CA issues certificates. Its methods may be called concurrently.
type CA struct {
	db       storage.DB
	policy   *policy.Point
	keys     keys.Source
	td       agents.TrustDomain
	base     atomic.Pointer[string]              // Config.BaseURL, see Readdress
	profiles atomic.Pointer[map[string]*Profile] // by name; a map is never changed
	clock    *clock.Clock
	grace    time.Duration
	issuers  atomic.Pointer[issuers]
	census   *components.Census // of the certificates on record
}

// New returns a CA over the issuer that is active in the store.
func New(c Config) (*CA, error) {
	ca := &CA{
		db: c.DB, policy: c.Policy, keys: c.Keys, td: c.TrustDomain, clock: c.Clock, grace: c.RenewGrace,
		census: components.NewCensus(c.DB, onRecord{}),
	}
	ca.base.Store(&c.BaseURL)
	replace, err := ca.PrepareProfiles(c.Profiles)
	if err != nil {
		return nil, err
	}
	replace()
	return ca, ca.Reload()
}

func (ca *CA) baseURL() string { return *ca.base.Load() }

// Readdress has certificates that are issued from now on name another base URL.
func (ca *CA) Readdress(baseURL string) error {
	ca.base.Store(&baseURL)
	return ca.Reload()
}

// An Issuer is a CA with its chain, its signer, and the parts that are the same in
// all certificates that it signs.
type Issuer struct {
	ID     string // hexadecimal subject key identifier
	KeyID  []byte
	Chain  [][]byte // DER: its own certificate, then those of the CAs above it, without the roots; of a CA that several roots have certified all
	Signer Signer

	// When the whole chain is valid: an issuer is of no use without the CAs above it.
	NotBefore time.Time
	NotAfter  time.Time

	// SignsOCSP says that its keyUsage allows it. Roots of earlier versions do not.
	SignsOCSP bool

	subject    []byte // the issuer field of what it signs
	extensions []byte // authority key identifier, CRL distribution point, AIA
}

// newIssuer makes the issuer whose lineage is given.
func newIssuer(line []Authority, s Signer, baseURL string) (*Issuer, error) {
	i, cert, err := describe(line, baseURL)
	if err != nil {
		return nil, err
	}
	var alternative []byte
	if k := cert.AlternativeKey(); k != nil {
		alternative = pqc.MarshalPKIXPublicKey(k)
	}
	if !bytes.Equal(cert.X509.RawSubjectPublicKeyInfo, s.PublicKey()) || !bytes.Equal(alternative, s.alternative()) {
		return nil, fmt.Errorf("the key of issuer %s is not the one in its certificate", i.ID)
	}
	i.Signer = s
	return i, nil
}

// describe returns the issuer whose lineage is given, without its signer, and its
// certificate.
func describe(line []Authority, baseURL string) (*Issuer, *pkix.Certificate, error) {
	a := line[0]
	parsed, err := pkix.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the issuer's certificate: %w", err)
	}
	cert := parsed.X509
	i := &Issuer{
		ID: a.ID, KeyID: cert.SubjectKeyId, Chain: [][]byte{a.Certificate},
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, subject: cert.RawSubject,
		SignsOCSP: cert.KeyUsage&x509.KeyUsageDigitalSignature != 0,
	}
	if err := i.extend(line[1:]); err != nil {
		return nil, nil, err
	}
	i.extensions = append(i.extensions, AuthorityKeyID(i.KeyID)...)
	if baseURL != "" {
		i.extensions = append(i.extensions, crlDistribution(baseURL+CRLPath(i.ID))...)
		ocsp := ""
		if i.SignsOCSP {
			ocsp = baseURL + OCSPPath
		}
		i.extensions = append(i.extensions, authorityInfo(ocsp, baseURL+CertificatePath(i.ID))...)
	}
	return i, parsed, nil
}

// extend adds the CAs above to the issuer's chain.
func (i *Issuer) extend(above []Authority) error {
	for _, a := range above {
		c, err := pkix.ParseCertificate(a.Certificate)
		if err != nil {
			return fmt.Errorf("reading the certificate of CA %s above issuer %s: %w", a.ID, i.ID, err)
		}
		i.Chain = append(i.Chain, a.Certificate)
		if c.X509.NotBefore.After(i.NotBefore) {
			i.NotBefore = c.X509.NotBefore
		}
		if c.X509.NotAfter.Before(i.NotAfter) {
			i.NotAfter = c.X509.NotAfter
		}
	}
	return nil
}

// Certificate returns the issuer's own DER certificate.
func (i *Issuer) Certificate() []byte { return i.Chain[0] }

// Subject returns the issuer's DER Name.
func (i *Issuer) Subject() []byte { return i.subject }

// CRLPath and CertificatePath return where the CRL and the certificate of a root or an
// issuer are published on the plain HTTP listener.
func CRLPath(issuer string) string         { return "/crl/" + issuer + ".crl" }
func CertificatePath(issuer string) string { return "/issuer/" + issuer + ".cer" }

// OCSPPath is where OCSP is answered there, for all roots and issuers.
const OCSPPath = "/ocsp"
