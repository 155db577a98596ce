package client

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// checkRoot checks what a root certificate says of itself. A cross-certificate binds only
// its name and its keys.
func checkRoot(c *pkix.Certificate, now time.Time) error {
	if !c.X509.IsCA {
		return errors.New("it is not one of a CA")
	}
	if err := c.CheckAlone(now); err != nil {
		return err
	}
	_, err := c.CheckSelfSigned()
	return err
}

// named reports whether a root has ever signed a cross-certificate of a newer one.
func (s *succession) named(newer, old *pkix.Certificate) bool {
	return slices.ContainsFunc(s.cross, func(c *pkix.Certificate) bool {
		if !isCross(c) || !sameKey(c, newer) {
			return false
		}
		_, err := c.CheckSignatureFrom(old)
		return err == nil
	})
}

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// isCross tells cross-certificates from those that the same root signs for issuers: whoever
// has the key of an issuer must not pass for a root.
func isCross(c *pkix.Certificate) bool { return c.X509.KeyUsage == x509.KeyUsageCRLSign }

// within reports whether a root is for nothing but what the one is for that vouches for it: a
// root for HTTPS alone cannot vouch for one for agents, and a root with name constraints only
// for one with the same. Constraints of an authority do not change.
func within(root, by *x509.Certificate) bool {
	if limits := nameConstraints(by); limits != nil && !bytes.Equal(limits, nameConstraints(root)) {
		return false
	}
	if len(by.ExtKeyUsage)+len(by.UnknownExtKeyUsage) == 0 {
		return true
	}
	return len(root.ExtKeyUsage) > 0 && len(root.UnknownExtKeyUsage) == 0 &&
		!slices.ContainsFunc(root.ExtKeyUsage, func(u x509.ExtKeyUsage) bool { return !slices.Contains(by.ExtKeyUsage, u) })
}

// nameConstraints returns the value of the extension (RFC 5280, section 4.2.1.10), or nil.
func nameConstraints(c *x509.Certificate) []byte {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidNameConstraints) {
			return e.Value
		}
	}
	return nil
}

// sameKey reports whether a cross-certificate is for the name and the keys of a root.
func sameKey(c, root *pkix.Certificate) bool {
	a, b := c.AlternativeKey(), root.AlternativeKey()
	return bytes.Equal(c.X509.RawSubject, root.X509.RawSubject) && bytes.Equal(c.X509.RawSubjectPublicKeyInfo, root.X509.RawSubjectPublicKeyInfo) &&
		(a == nil) == (b == nil) && (a == nil || a.Equal(b))
}
