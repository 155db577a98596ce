package pkix

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"
)

// Extensions of a CRL (RFC 5280, section 5.2) by which it is not a complete one.
var (
	oidDeltaCRL     = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidDistribution = asn1.ObjectIdentifier{2, 5, 29, 28} // issuingDistributionPoint
)

// A CRL is a certificate revocation list that was parsed and whose form was checked.
// Its signature was not: see CheckSignatureFrom and Verify.
type CRL struct {
	// X509 is what crypto/x509 read. Its CheckSignatureFrom must not be used.
	X509 *x509.RevocationList

	signed  signed
	alt     alternative
	revoked map[string]int        // by serial number, big-endian: index of RevokedCertificateEntries
	unknown asn1.ObjectIdentifier // a critical extension of an entry, if any has one
}

// ParseCRL reads a DER CertificateList of version 2 and nothing after it.
func ParseCRL(der []byte) (*CRL, error) {
	s, err := parseSigned(der, maxCRL)
	if err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	if _, err := splitTBS(s.tbs, crlExtensions); err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	l := &CRL{X509: list, signed: s}
	seen := map[string]bool{}
	for _, e := range list.Extensions { // crypto/x509 takes the last of two
		id := e.Id.String()
		if seen[id] {
			return nil, fmt.Errorf("CRL: the extension %s stands twice", id)
		}
		seen[id] = true
	}
	if l.alt, err = parseAlternative(list.Extensions); err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	l.revoked = make(map[string]int, len(list.RevokedCertificateEntries))
	for i, e := range list.RevokedCertificateEntries {
		l.revoked[string(e.SerialNumber.Bytes())] = i
		for _, x := range e.Extensions {
			if x.Critical { // certificateIssuer is, of indirect CRLs (section 5.3.3)
				l.unknown = x.Id
			}
		}
	}
	return l, nil
}

// AlternativelySigned reports whether l carries an alternative signature, be it right
// or wrong.
func (l *CRL) AlternativelySigned() bool { return l.alt.signed() }

// CheckSignatureFrom checks that issuer, a CA, has issued l, and says what the
// signature rests on, as for certificates.
func (l *CRL) CheckSignatureFrom(issuer *Certificate) (Protection, error) {
	if !bytes.Equal(l.X509.RawIssuer, issuer.X509.RawSubject) {
		return 0, errors.New("the name of the CRL's issuer is another")
	}
	if err := issuer.maySignCRL(); err != nil {
		return 0, err
	}
	return issuer.checkSigned(&l.signed, &l.alt, crlExtensions)
}

// Entry returns the entry for the serial number of c, or nil. It is for a CRL that is
// known to be of the issuer of c; Verify finds that out.
func (l *CRL) Entry(c *Certificate) *x509.RevocationListEntry {
	i, ok := l.revoked[string(c.X509.SerialNumber.Bytes())]
	if !ok {
		return nil
	}
	return &l.X509.RevokedCertificateEntries[i]
}

// CheckComplete refuses a CRL that it does not understand, that does not cover all
// certificates of its issuer, or that is not valid at the time now (RFC 5280, section
// 5). It does not check the signature. Verify calls it.
func (l *CRL) CheckComplete(now time.Time) error {
	for _, e := range l.X509.Extensions {
		if isAlternative(e.Id) {
			continue
		}
		if e.Critical || e.Id.Equal(oidDeltaCRL) || e.Id.Equal(oidDistribution) {
			return fmt.Errorf("its extension %v is not understood: only complete CRLs are", e.Id)
		}
	}
	switch {
	case l.unknown != nil:
		return fmt.Errorf("the extension %v of an entry is not understood", l.unknown)
	case l.X509.Number == nil:
		return errors.New("it has no number (RFC 5280, section 5.2.3)")
	case l.X509.NextUpdate.IsZero():
		return errors.New("it does not say when the next one comes (RFC 5280, section 5.1.2.5)")
	case now.Before(l.X509.ThisUpdate):
		return fmt.Errorf("it is of %s, which is not yet", l.X509.ThisUpdate.Format(time.RFC3339))
	case now.After(l.X509.NextUpdate):
		return fmt.Errorf("it was to be replaced by %s", l.X509.NextUpdate.Format(time.RFC3339))
	}
	return nil
}
