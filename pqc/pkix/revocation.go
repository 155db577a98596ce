package pkix

import (
	"bytes"
	"fmt"
	"time"
)

// checkRevocation looks for every certificate of path but the root on the CRL of its
// issuer (RFC 5280, section 6.3, for complete CRLs). The root comes first: by then every
// issuer that signs a CRL has been checked itself.
func (s *search) checkRevocation(path []*Certificate) error {
	for i := len(path) - 2; i >= 0; i-- {
		if err := s.checkRevoked(path[i], path[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) checkRevoked(c, issuer *Certificate) error {
	l := newestCRL(s.o.CRLs, issuer)
	if l == nil {
		if s.o.RequireCRLs {
			return fmt.Errorf("no CRL of %s is given, so %s may be revoked", issuer.name(), c.name())
		}
		return nil
	}
	if err := s.checkCRL(l, issuer); err != nil {
		return fmt.Errorf("the CRL of %s cannot be used, so %s may be revoked: %w", issuer.name(), c.name(), err)
	}
	if e := l.Entry(c); e != nil {
		return fmt.Errorf("%w: %s, at %s, reason %d", ErrRevoked, c.name(), e.RevocationTime.Format(time.RFC3339), e.ReasonCode)
	}
	return nil
}

func (s *search) checkCRL(l *CRL, issuer *Certificate) error {
	if err := l.checkComplete(s.o.Time); err != nil {
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

// newestCRL returns the CRL of issuer with the highest number, or nil. It may yet be
// one that is refused: a list that is in doubt must not be passed over for an older.
func newestCRL(lists []*CRL, issuer *Certificate) *CRL {
	var newest *CRL
	for _, l := range lists {
		x := l.X509
		if !bytes.Equal(x.RawIssuer, issuer.X509.RawSubject) {
			continue
		}
		// A CA that has changed its key and kept its name has a list for each.
		if len(x.AuthorityKeyId) > 0 && len(issuer.X509.SubjectKeyId) > 0 && !bytes.Equal(x.AuthorityKeyId, issuer.X509.SubjectKeyId) {
			continue
		}
		if x.Number == nil { // refused by checkComplete
			return l
		}
		if newest == nil || x.Number.Cmp(newest.X509.Number) > 0 {
			newest = l
		}
	}
	return newest
}
