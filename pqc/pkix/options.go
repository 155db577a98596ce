package pkix

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Options say what Verify asks of a path.
type Options struct {
	// Roots are trusted as they are, by their DER: the caller has checked their
	// fingerprints. A root vouches for what it has issued, not for itself.
	Roots []*Certificate
	// Intermediates may help on the way to a root. They are not trusted.
	Intermediates []*Certificate
	// Time is when the path must be valid. It must be set.
	Time time.Time
	// Host is the DNS name or IP address that the certificate must be for; "" asks for
	// none.
	Host string
	// Usages are what the certificate is to be used for; it must be good for one of
	// them, and so must every CA above it that names usages at all.
	// x509.ExtKeyUsageAny stands for any use. There must be at least one.
	Usages []x509.ExtKeyUsage
	// RequireHybrid asks that every signature of the path and of the CRLs rests on
	// ML-DSA: alone, in a composite, or in an alternative signature by the key that
	// the issuer's own certificate binds.
	RequireHybrid bool
	// CRLs are complete lists. If an issuer has several, the one with the highest number
	// counts, and must be valid. Its signature is checked on every call, which takes
	// longer for a longer list.
	CRLs []*CRL
	// RequireCRLs asks for a CRL by every issuer of the path.
	RequireCRLs bool
}

func (o *Options) check() error {
	switch {
	case o.Time.IsZero():
		return errors.New("verifying a certificate: no time is given")
	case len(o.Usages) == 0:
		return errors.New("verifying a certificate: no usage is given")
	case len(o.Roots) == 0:
		return errors.New("verifying a certificate: no root is given")
	case len(o.Intermediates) > maxIntermediates:
		return fmt.Errorf("verifying a certificate: %d intermediate certificates are given, at most %d are allowed", len(o.Intermediates), maxIntermediates)
	}
	return nil
}
