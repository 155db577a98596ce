package pkix

import (
	"bytes"
	"fmt"
	"time"
)

// checkRevocation looks for every certificate of p but the root on the CRL of its
// issuer (RFC 5280, section 6.3, for complete CRLs). The root comes first: by then every
// issuer that signs a CRL has been checked itself.
func (s *search) checkRevocation(p *Path) error {
	p.Lists = make([]*CRL, len(p.Certificates)-1)
	for i := len(p.Lists) - 1; i >= 0; i-- {
		l, err := s.checkRevoked(p.Certificates[i], p.Certificates[i+1])
		if err != nil {
			return err
		}
		p.Lists[i] = l
	}
	return nil
}

// checkRevoked returns the list on which it looked for c.
func (s *search) checkRevoked(c, issuer *Certificate) (*CRL, error) {
	l, err := s.newestCRL(issuer)
	if err != nil {
		return nil, err
	}
	if l == nil {
		if s.o.RequireCRLs {
			return nil, fmt.Errorf("no CRL of %s is given, so %s may be revoked", issuer.name(), c.name())
		}
		return nil, nil
	}
	if err := s.checkCRL(l, issuer); err != nil {
		return nil, fmt.Errorf("the CRL of %s cannot be used, so %s may be revoked: %w", issuer.name(), c.name(), err)
	}
	if e := l.Entry(c); e != nil {
		return nil, fmt.Errorf("%w: %s, at %s, reason %d", ErrRevoked, c.name(), e.RevocationTime.Format(time.RFC3339), e.ReasonCode)
	}
	return l, nil
}

func (s *search) checkCRL(l *CRL, issuer *Certificate) error {
	if err := l.CheckComplete(s.o.Time); err != nil {
		return err
	}
	if s.signatures--; s.signatures < 0 {
		return errTooManySignatures
	}
	protection, err := l.CheckSignatureFrom(issuer)
	if err != nil {
		return err
	}
	if s.o.RequireHybrid {
		return issuer.checkHybrid(protection, &l.alt)
	}
	return nil
}

// newestCRL returns the CRL of issuer with the highest number, or nil. Other checks may
// still refuse it: then an older list must not be used in its place.
func (s *search) newestCRL(issuer *Certificate) (*CRL, error) {
	var newest *CRL
	for _, l := range s.o.CRLs {
		if !bytes.Equal(l.X509.RawIssuer, issuer.X509.RawSubject) {
			continue
		}
		if ok, err := s.ofKey(l, issuer); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		if l.X509.Number == nil { // refused by CheckComplete
			return l, nil
		}
		if newest == nil || l.X509.Number.Cmp(newest.X509.Number) > 0 {
			newest = l
		}
	}
	return newest, nil
}

// ofKey reports whether l is by the key of issuer. A CA that has changed its key and
// kept its name has a list for each, told apart by the authority key identifier. But
// two certificates may give one key two identifiers: what verifies counts.
func (s *search) ofKey(l *CRL, issuer *Certificate) (bool, error) {
	named, key := l.X509.AuthorityKeyId, issuer.X509.SubjectKeyId
	if len(named) == 0 || len(key) == 0 || bytes.Equal(named, key) {
		return true, nil
	}
	if s.signatures--; s.signatures < 0 {
		return false, errTooManySignatures
	}
	_, err := l.CheckSignatureFrom(issuer)
	return err == nil, nil
}
