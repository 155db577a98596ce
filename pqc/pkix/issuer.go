package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	xpkix "crypto/x509/pkix"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Extensions of RFC 5280, section 4.2.1.
var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidNameConstraints  = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// The key usage of a key that only signs must name signing and nothing else (RFC 9881,
// section 5; the draft, section 5.2).
const (
	signingUsages   = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	forbiddenUsages = x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment | x509.KeyUsageKeyAgreement | x509.KeyUsageEncipherOnly | x509.KeyUsageDecipherOnly
)

func checkKeyUsage(u x509.KeyUsage) error {
	if u&forbiddenUsages != 0 {
		return errors.New("the key usage of an ML-DSA or composite key must have none of keyEncipherment, dataEncipherment, keyAgreement, encipherOnly and decipherOnly")
	}
	if u&signingUsages == 0 {
		return errors.New("the key usage of an ML-DSA or composite key must have one of digitalSignature, nonRepudiation, keyCertSign and cRLSign")
	}
	return nil
}

func (c *Certificate) extension(oid asn1.ObjectIdentifier) *xpkix.Extension {
	i := slices.IndexFunc(c.X509.Extensions, func(e xpkix.Extension) bool { return e.Id.Equal(oid) })
	if i < 0 {
		return nil
	}
	return &c.X509.Extensions[i]
}

func (c *Certificate) hasExtension(oid asn1.ObjectIdentifier) bool { return c.extension(oid) != nil }

// mayIssue checks that c is a CA whose key may sign certificates (RFC 5280, section
// 6.1.4, k and n).
func (c *Certificate) mayIssue() error {
	if !c.X509.BasicConstraintsValid || !c.X509.IsCA {
		return fmt.Errorf("%s is not a CA: its basic constraints do not say so", c.name())
	}
	if c.hasExtension(oidKeyUsage) && c.X509.KeyUsage&x509.KeyUsageCertSign == 0 {
		return fmt.Errorf("%s must not sign certificates: its key usage lacks keyCertSign", c.name())
	}
	return nil
}

// maySignCRL is the same for CRLs (RFC 5280, section 6.3.3, f).
func (c *Certificate) maySignCRL() error {
	if !c.X509.BasicConstraintsValid || !c.X509.IsCA {
		return fmt.Errorf("%s is not a CA: its basic constraints do not say so", c.name())
	}
	if c.hasExtension(oidKeyUsage) && c.X509.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return fmt.Errorf("%s must not sign CRLs: its key usage lacks cRLSign", c.name())
	}
	return nil
}

// checkSigned checks s with the key of c, and an alternative signature with the
// alternative key that c's own certificate binds. Without such a key it counts for
// nothing, and if it is critical, s is refused.
func (c *Certificate) checkSigned(s *signed, alt *alternative, tag cbasn1.Tag) (Protection, error) {
	p, err := c.key.check(s)
	if err != nil || !alt.signed() {
		return p, err
	}
	if c.alt.key == nil {
		if alt.critical {
			return 0, fmt.Errorf("its alternative signature is critical and cannot be checked: the certificate of %s binds no alternative key that is known", c.name())
		}
		return p, nil
	}
	if err := alt.check(c.alt.key, s.tbs, tag); err != nil {
		return 0, fmt.Errorf("the alternative signature is not of the alternative key that %s is certified for: %w", c.name(), err)
	}
	if p.Hybrid() {
		return p, nil
	}
	return Alternative, nil
}

// checkHybrid returns nil if p is enough when hybrid signatures are required, and
// otherwise says why it is not. alt has the alternative extensions of
// what c has signed.
func (c *Certificate) checkHybrid(p Protection, alt *alternative) error {
	switch {
	case p.Hybrid():
		return nil
	case !alt.signed():
		return fmt.Errorf("%w: the signature is classical and there is no alternative one", ErrNotHybrid)
	case c.alt.keyErr != nil:
		return fmt.Errorf("%w: the alternative key of the issuer cannot be used: %w", ErrNotHybrid, c.alt.keyErr)
	default:
		return fmt.Errorf("%w: the alternative signature is decoration, since the certificate of the issuer binds no alternative key", ErrNotHybrid)
	}
}

// name says in an error which certificate is meant. The serial number has both digits of
// each octet, as lists and logs show it.
func (c *Certificate) name() string {
	return fmt.Sprintf("%.100q (serial %.25x)", c.X509.Subject.String(), c.X509.SerialNumber.Bytes())
}
