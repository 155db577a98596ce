package pkix

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// understood are the extensions that may be critical. Not among them are those about
// certificate policies, of which crypto/x509 makes nothing to be checked.
var understood = []asn1.ObjectIdentifier{
	oidKeyUsage, oidSubjectAltName, oidBasicConstraints, oidNameConstraints, oidExtKeyUsage,
	oidAltPublicKey, oidAltAlgorithm, oidAltSignatureValue,
}

// oidPolicyConstraints must be processed even if it is not critical (RFC 5280, section
// 4.2), which we do not. Without it no policy is ever required (section 6.1), so that
// the other extensions about policies change nothing, and are ignored unless critical.
var oidPolicyConstraints = asn1.ObjectIdentifier{2, 5, 29, 36}

// checkLeaf checks what concerns c alone.
func (o *Options) checkLeaf(c *Certificate) error {
	if err := c.CheckAlone(o.Time); err != nil {
		return err
	}
	if slices.ContainsFunc(o.Roots, c.Equal) {
		return errors.New("it is itself among the roots, and a root vouches only for what it has issued")
	}
	if o.Host == "" {
		return nil
	}
	return c.X509.VerifyHostname(o.Host)
}

// CheckAlone checks what needs no other certificate: that c is valid at the time now
// and that its critical extensions are understood (RFC 5280, section 6.1.3, a, and
// sections 6.1.4, o, and 6.1.5, f). Verify does it itself, for every certificate of a
// path.
func (c *Certificate) CheckAlone(now time.Time) error {
	switch {
	case now.IsZero():
		return errors.New("no time is given")
	case now.Before(c.X509.NotBefore):
		return fmt.Errorf("it is valid from %s on, the time is %s", c.X509.NotBefore.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case now.After(c.X509.NotAfter):
		return fmt.Errorf("it expired at %s, the time is %s", c.X509.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	unknown := slices.DeleteFunc(slices.Clone(c.X509.UnhandledCriticalExtensions), isAlternative)
	for _, e := range c.X509.Extensions {
		if e.Id.Equal(oidPolicyConstraints) {
			return errors.New("it has policy constraints, and certificate policies are not processed here")
		}
		if e.Critical && !slices.ContainsFunc(understood, e.Id.Equal) {
			unknown = append(unknown, e.Id)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("its critical extension %v is not understood", unknown[0])
	}
	return nil
}

// checkIssuer checks c as the issuer of the last certificate of path. It does not check
// the signature.
func (o *Options) checkIssuer(c *Certificate, path []*Certificate) error {
	if err := c.CheckAlone(o.Time); err != nil {
		return err
	}
	if err := c.mayIssue(); err != nil {
		return err
	}
	for _, below := range path {
		if bytes.Equal(below.X509.RawSubject, c.X509.RawSubject) && bytes.Equal(below.X509.RawSubjectPublicKeyInfo, c.X509.RawSubjectPublicKeyInfo) {
			return errors.New("it stands in the path already")
		}
	}
	last := path[len(path)-1].X509
	if len(last.AuthorityKeyId) > 0 && len(c.X509.SubjectKeyId) > 0 && !bytes.Equal(last.AuthorityKeyId, c.X509.SubjectKeyId) {
		return errors.New("the authority key identifier names another key (RFC 5280, section 4.2.1.1)")
	}
	return checkPathLength(c, path)
}

// checkPathLength counts the intermediates below c that are not self-issued (RFC 5280,
// section 4.2.1.9). The first certificate of path does not count as one.
func checkPathLength(c *Certificate, path []*Certificate) error {
	if c.X509.MaxPathLen < 0 {
		return nil
	}
	n := 0
	for _, below := range path[1:] {
		if !below.selfIssued() {
			n++
		}
	}
	if n > c.X509.MaxPathLen {
		return fmt.Errorf("its path length allows %d CAs below it, there are %d", c.X509.MaxPathLen, n)
	}
	return nil
}

func (c *Certificate) selfIssued() bool { return bytes.Equal(c.X509.RawSubject, c.X509.RawIssuer) }

// CheckUsages checks that c may be used for one of usages, if it names usages at all.
// Verify does it for the whole path.
func (c *Certificate) CheckUsages(usages ...x509.ExtKeyUsage) error {
	return checkUsages([]*Certificate{c}, usages)
}

// checkUsages checks that one of usages is allowed by every certificate of path that
// names usages at all. RFC 5280 asks it of the first alone; that a CA's usages bound
// those below it is common practice.
func checkUsages(path []*Certificate, usages []x509.ExtKeyUsage) error {
	if slices.Contains(usages, x509.ExtKeyUsageAny) {
		return nil
	}
	left := slices.Clone(usages)
	for _, c := range path {
		if !c.hasExtension(oidExtKeyUsage) || slices.Contains(c.X509.ExtKeyUsage, x509.ExtKeyUsageAny) {
			continue
		}
		left = slices.DeleteFunc(left, func(u x509.ExtKeyUsage) bool { return !slices.Contains(c.X509.ExtKeyUsage, u) })
		if len(left) == 0 {
			return fmt.Errorf("%s is not for this use: its extended key usage lacks it", c.name())
		}
	}
	return nil
}
