package ceremony

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Keys are on the machine where roots sign.
type Keys struct {
	Private []crypto.Signer // of the roots

	// New makes the key of a new root.
	New func(p keys.Purpose, a keys.Algorithm, now time.Time) (keys.Key, crypto.Signer, error)
}

// Sign has the roots sign what the plan says.
func (r *Request) Sign(p *Plan, with Keys) (out *Response, err error) {
	switch {
	case p.Successor != nil:
		out, err = r.succeed(p, with)
	case len(p.Beside) == 0:
		out, err = r.alone(p, with, nil)
	default:
		out, err = r.each(p, with)
	}
	if err == nil && len(out.Marshal()) > MaxResponse {
		return nil, errors.New("the response would be too large: sign fewer CRLs")
	}
	return out, err
}

// each has each of several roots sign its part.
func (r *Request) each(p *Plan, with Keys) (out *Response, err error) {
	for n, q := range p.All() {
		asked := r
		if n > 0 {
			asked = r.Beside[n-1]
		}
		part, err := asked.alone(q, with, nil)
		if err != nil {
			return nil, err
		}
		part.Certificates = append([][]byte{q.root.Certificate}, part.Certificates...)
		if out == nil {
			out = part
		} else {
			out.Beside = append(out.Beside, part)
		}
	}
	return out, nil
}

// alone has one root sign certificates of new issuers and its lists, which know of more
// certificates that it has signed.
func (r *Request) alone(p *Plan, with Keys, more []ca.Authority) (*Response, error) {
	root, err := with.issuer(p, r.Published)
	if err != nil {
		return nil, err
	}
	last := crl.RootLists{Root: p.Root, Number: r.Number, Current: crl.RootList{ThisUpdate: r.Dated}}
	return p.sign(root, last, p.about, more)
}

// issuer finds the key of the root of a plan.
func (with Keys) issuer(p *Plan, published string) (*ca.Issuer, error) {
	err := errors.New("its key is missing")
	for _, private := range with.Private {
		s, err2 := ca.NewSigner(private)
		if err2 != nil {
			return nil, err2
		}
		root, err2 := ca.RootIssuer(p.root, s, published)
		if err2 == nil {
			return root, nil
		}
		err = err2
	}
	return nil, fmt.Errorf("the request is for the root %s: give the file of its key, and of every other root that the request names (%w)", p.Root, err)
}

// sign has a root sign the certificates that are asked for, and its lists.
func (p *Plan) sign(root *ca.Issuer, last crl.RootLists, about []crl.Statement, more []ca.Authority) (*Response, error) {
	var out Response
	made := more
	for _, i := range p.Issuers {
		one, err := ca.IssueElsewhere(root, i.key, i.lifetime, p.date)
		if err != nil {
			return nil, err
		}
		made = append(made, one)
	}
	said, err := crl.Good(made)
	if err != nil {
		return nil, err
	}
	for _, one := range made {
		out.Certificates = append(out.Certificates, one.Certificate)
	}
	signed, err := crl.SignSeries(root, append(about[:len(about):len(about)], said...), last, p.Lists, p.date, ocsp.Ahead)
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
	return &out, nil
}

// succeed makes a new root. The old one and the new one sign cross-certificates of each other,
// and both certify the same issuers.
func (r *Request) succeed(p *Plan, with Keys) (*Response, error) {
	old, err := with.issuer(p, r.Published)
	if err != nil {
		return nil, err
	}
	_, private, err := with.New(p.Successor.Purpose, p.Successor.Algorithm, p.date)
	if err != nil {
		return nil, err
	}
	s, err := ca.NewSigner(private)
	if err != nil {
		return nil, err
	}
	next, err := ca.SucceedElsewhere(p.root, p.Successor.nth, s, p.date)
	if err != nil {
		return nil, err
	}
	self, err := ca.RootIssuer(next, s, r.Published)
	if err != nil {
		return nil, err
	}
	newWithOld, err := ca.CrossCertify(next, old, p.date)
	if err != nil {
		return nil, err
	}
	out, err := r.alone(p, with, []ca.Authority{newWithOld})
	if err != nil {
		return nil, err
	}
	oldWithNew, err := ca.CrossCertify(p.root, self, p.date)
	if err != nil {
		return nil, err
	}
	made := []ca.Authority{oldWithNew}
	for _, i := range p.Successor.issuers {
		c, err := ca.Recertify(i, self, p.date)
		if err != nil {
			return nil, err
		}
		made = append(made, c)
	}
	part, err := p.sign(self, crl.RootLists{Root: next.ID}, nil, made)
	if err != nil {
		return nil, err
	}
	out.Certificates = append([][]byte{p.root.Certificate}, out.Certificates...)
	part.Certificates = append([][]byte{next.Certificate}, part.Certificates...)
	out.Beside = []*Response{part}
	return out, nil
}
