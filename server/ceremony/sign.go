package ceremony

import (
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Plan is what a root would sign for a request, for the operator to read before.
type Plan struct {
	Fingerprint string             `json:"fingerprint"` // of the request
	Made        time.Time          `json:"made"`        // when the request was
	TrustDomain agents.TrustDomain `json:"trust_domain"`
	Published   string             `json:"published"` // where certificates will say that CRLs are
	Root        string             `json:"root"`
	RootEnds    time.Time          `json:"root_ends"`
	Issuers     []PlannedIssuer    `json:"issuers,omitempty"`
	Revoked     []string           `json:"revoked,omitempty"` // issuers, by identifier and reason
	First       int64              `json:"first_crl"`         // number
	Lists       int                `json:"crls"`
	Until       time.Time          `json:"crls_until"`

	Successor *PlannedRoot `json:"successor,omitempty"`
	Beside    []*Plan      `json:"beside,omitempty"` // of other roots

	root  ca.Authority
	known []ca.Authority // that the root has signed before
	about []crl.Statement
	date  time.Time
}

// All returns the plans for each root that is published.
func (p *Plan) All() []*Plan { return append([]*Plan{p}, p.Beside...) }

// A PlannedRoot would be made.
type PlannedRoot struct {
	Purpose   keys.Purpose   `json:"purpose"`
	Algorithm keys.Algorithm `json:"algorithm"`
	Certify   []string       `json:"certify"` // issuers that have a certificate by the old root

	nth     int
	issuers []ca.Authority
}

// A PlannedIssuer would get a certificate.
type PlannedIssuer struct {
	Purpose   keys.Purpose   `json:"purpose"`
	ID        string         `json:"id"`
	Algorithm keys.Algorithm `json:"algorithm"`
	Until     time.Time      `json:"until"`

	key      keys.Key
	lifetime time.Duration
}

// Plan checks a request and says what the roots would sign, see plan.
func (r *Request) Plan(n int, now time.Time) (*Plan, error) {
	p, err := r.plan(n, now)
	if err != nil {
		return nil, err
	}
	if p.Fingerprint, err = r.Fingerprint(); err != nil {
		return nil, err
	}
	if len(r.Beside) > maxBeside || r.Successor != nil && len(r.Beside) > 0 {
		return nil, fmt.Errorf("%w request: it is about more roots than one authority has", agents.ErrInvalid)
	}
	for _, b := range r.Beside {
		q, err := b.plan(n, now)
		switch {
		case err != nil:
			return nil, err
		case b.Successor != nil || len(b.Beside) > 0 || b.TrustDomain != r.TrustDomain || b.Published != r.Published || !b.Made.Equal(r.Made):
			return nil, fmt.Errorf("%w request: the root %s is asked for something else than the root %s", agents.ErrInvalid, q.Root, p.Root)
		case slices.ContainsFunc(p.All(), func(o *Plan) bool { return o.Root == q.Root }):
			return nil, fmt.Errorf("%w request: the root %s is in it twice", agents.ErrInvalid, q.Root)
		}
		p.Beside = append(p.Beside, q)
	}
	if r.Successor != nil {
		err = p.succeed(r.Successor)
	}
	return p, err
}

// succeed plans a new root.
func (p *Plan) succeed(s *Successor) error {
	purpose, err := p.root.RootPurpose()
	if err != nil {
		return err
	}
	spec, err := ca.Purposes().Of(purpose)
	if err == nil {
		err = spec.Check(s.Algorithm)
	}
	if err != nil {
		return fmt.Errorf("%w %w", agents.ErrInvalid, err)
	}
	if s.Nth < 2 || s.Nth > 10000 {
		return fmt.Errorf("%w request: the new root would be number %d", agents.ErrInvalid, s.Nth)
	}
	p.Successor = &PlannedRoot{Purpose: purpose, Algorithm: s.Algorithm, Certify: s.Certify, nth: s.Nth}
	for _, id := range s.Certify {
		i := slices.IndexFunc(p.known, func(a ca.Authority) bool { return a.ID == id })
		if i < 0 || p.about[i].Revoked || slices.ContainsFunc(p.Successor.issuers, func(a ca.Authority) bool { return a.ID == id }) {
			return fmt.Errorf("%w request: the new root cannot certify the issuer %.40q, of which the root %s has signed no good certificate", agents.ErrInvalid, id, p.Root)
		}
		if err := p.known[i].IsIssuing(); err != nil {
			return err
		}
		p.Successor.issuers = append(p.Successor.issuers, p.known[i])
	}
	return nil
}

// slow is how far the clock of the machine with the root's key may lag.
const slow = 10 * time.Minute

// plan checks a request and says what its own root would sign: certificates of issuers of this
// authority and nothing else, and n CRLs. It needs no key. It refuses a request by
// somebody who had no certificate of the root, or who says that the root issued what it did not.
func (r *Request) plan(n int, now time.Time) (*Plan, error) {
	switch {
	case n < 1 || n > crl.MaxSeries:
		return nil, fmt.Errorf("%w number of CRLs: %d, want 1 to %d", agents.ErrInvalid, n, crl.MaxSeries)
	case now.Before(r.Made.Add(-slow)) || now.Before(r.Dated.Add(-slow)):
		return nil, fmt.Errorf("the clock of this machine shows %s, and the request was made at %s: set it right first", now.UTC().Format(time.RFC3339), r.Made.Format(time.RFC3339))
	case r.Number < 0 || r.Number > 1<<60:
		return nil, fmt.Errorf("%w request: the number %d of a CRL", agents.ErrInvalid, r.Number)
	case len(r.Wanted) > maxCertificates:
		return nil, fmt.Errorf("%w request: it asks for %d certificates, want at most %d", agents.ErrInvalid, len(r.Wanted), maxCertificates)
	}
	if err := r.checkURL(); err != nil {
		return nil, err
	}
	if _, err := agents.ParseTrustDomain(string(r.TrustDomain)); err != nil {
		return nil, err
	}
	root, err := ca.ParseRoot(r.Certificate)
	if err != nil {
		return nil, err
	}
	if root.ID != r.Root || !now.Before(root.NotAfter) {
		return nil, fmt.Errorf("%w request: its root certificate is that of %s until %s, and the request names %.80q", agents.ErrInvalid, root.ID, root.NotAfter.Format(time.RFC3339), r.Root)
	}
	described, err := ca.DescribeRoot(root, r.Published)
	if err != nil {
		return nil, err
	}
	p := &Plan{Made: r.Made, TrustDomain: r.TrustDomain, Published: r.Published, Root: root.ID, RootEnds: root.NotAfter, First: r.Number + 1, Lists: n, Until: crl.SeriesEnd(n, now), root: root, date: now}
	for _, w := range r.Wanted {
		if err := p.want(described, w, now); err != nil {
			return nil, err
		}
	}
	for _, i := range r.Issued {
		if err := p.know(described, i); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// want adds an issuer that is to be certified.
func (p *Plan) want(root *ca.Issuer, w Wanted, now time.Time) error {
	k, err := ca.RequestedKey(root, w.Purpose, w.CSR, now)
	if err != nil {
		return err
	}
	lifetime := time.Duration(w.Lifetime) * time.Second
	if w.Lifetime < 24*3600 || w.Lifetime > 50*366*24*3600 {
		return fmt.Errorf("%w request: a lifetime of %d seconds", agents.ErrInvalid, w.Lifetime)
	}
	until := now.Add(lifetime)
	if until.After(root.NotAfter) {
		until = root.NotAfter
	}
	p.Issuers = append(p.Issuers, PlannedIssuer{w.Purpose, k.ID, k.Algorithm, until.UTC().Truncate(time.Second), k, lifetime})
	return nil
}

// know adds a certificate that the root has signed before, for its CRL.
func (p *Plan) know(root *ca.Issuer, i Issued) error {
	issued, err := ca.CheckIssued(root, i.Certificate)
	if err != nil {
		return err
	}
	said, err := crl.Good([]ca.Authority{issued})
	if err != nil {
		return err
	}
	s := said[0]
	if s.Revoked = !i.Revoked.IsZero(); s.Revoked {
		reason, err := agents.ParseReason(i.Reason)
		if err != nil {
			return err
		}
		s.Cutoff = agents.Cutoff{At: i.Revoked, Reason: reason}
		p.Revoked = append(p.Revoked, issued.ID+" ("+reason.String()+")")
	} else if i.Reason != "" {
		return fmt.Errorf("%w request: a reason to revoke %s, and no time", agents.ErrInvalid, issued.ID)
	}
	p.known, p.about = append(p.known, issued), append(p.about, s)
	return nil
}
