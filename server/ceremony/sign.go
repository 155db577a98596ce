package ceremony

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
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

	root  ca.Authority
	about []crl.Statement
	date  time.Time
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

// slow is how far the clock of the machine with the root's key may lag.
const slow = 10 * time.Minute

// Plan checks a request and says what the root would sign: certificates of issuers of this
// authority and nothing else, and n CRLs. It needs no key. It refuses a request by
// somebody who had no certificate of the root, or who says that the root issued what it did not.
func (r *Request) Plan(n int, now time.Time) (*Plan, error) {
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
	p.Fingerprint, err = r.Fingerprint()
	return p, err
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
	p.about = append(p.about, s)
	return nil
}

// Sign has the root, whose private key is given, sign what the plan says.
func (r *Request) Sign(p *Plan, private crypto.Signer) (*Response, error) {
	s, err := ca.NewSigner(private)
	if err != nil {
		return nil, err
	}
	root, err := ca.RootIssuer(p.root, s, r.Published)
	if err != nil {
		return nil, fmt.Errorf("the request is for the root %s: %w", p.Root, err)
	}
	out, about := &Response{}, p.about
	for _, i := range p.Issuers {
		made, err := ca.IssueElsewhere(root, i.key, i.lifetime, p.date)
		if err != nil {
			return nil, err
		}
		said, err := crl.Good([]ca.Authority{made})
		if err != nil {
			return nil, err
		}
		out.Certificates, about = append(out.Certificates, made.Certificate), append(about, said...)
	}
	last := crl.RootLists{Root: p.Root, Number: r.Number, Current: crl.RootList{ThisUpdate: r.Dated}}
	signed, err := crl.SignSeries(root, about, last, p.Lists, p.date, ocsp.Ahead)
	if err != nil {
		return nil, err
	}
	for _, l := range signed.All() {
		one := List{CRL: l.DER}
		for _, a := range l.Answers {
			one.Answers = append(one.Answers, a.DER)
		}
		out.Lists = append(out.Lists, one)
	}
	if len(out.Marshal()) > MaxResponse {
		return nil, errors.New("the response would be too large: sign fewer CRLs")
	}
	return out, nil
}
