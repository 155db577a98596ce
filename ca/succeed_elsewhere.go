package ca

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage/keys"
)

// RootPurpose returns the purpose of a root, as its certificate has it.
func (a Authority) RootPurpose() (keys.Purpose, error) {
	cert, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return "", err
	}
	if slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return keys.HTTPSRoot, nil
	}
	return keys.Root, nil
}

// IsIssuing returns an error for certificates of a root that are not of issuing CAs, such as
// cross-certificates.
func (a Authority) IsIssuing() error {
	cert, err := x509.ParseCertificate(a.Certificate)
	if err == nil && (!cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0) {
		err = fmt.Errorf("%w: the certificate of %s is not that of an issuing CA", agents.ErrInvalid, a.ID)
	}
	return err
}

// A heritage is what a new root has from the one that it succeeds.
type heritage struct {
	purpose     keys.Purpose
	name        string
	lifetime    time.Duration
	constraints []byte
}

func (a Authority) heritage() (h heritage, err error) {
	cert, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return h, err
	}
	h.purpose, err = a.RootPurpose()
	h.name, h.lifetime, h.constraints = nameIn(cert.Subject.CommonName), cert.NotAfter.Sub(cert.NotBefore)-caBackdate, constraintsOf(cert)
	return h, err
}

// SucceedElsewhere makes the certificate of the nth root of a purpose, like that of the one
// before, on the machine that has their keys.
func SucceedElsewhere(before Authority, n int, s Signer, now time.Time) (Authority, error) {
	h, err := before.heritage()
	if err != nil {
		return Authority{}, err
	}
	return newRoot(h.purpose, h.name, n, s, h.lifetime, now, h.constraints)
}

// CheckRoot checks a root that SucceedElsewhere has made, and returns it with its key.
func CheckRoot(before Authority, n int, der []byte, now time.Time) (Authority, keys.Key, error) {
	h, err := before.heritage()
	if err != nil {
		return Authority{}, keys.Key{}, err
	}
	root, err := ParseRoot(der)
	if err != nil {
		return root, keys.Key{}, err
	}
	cert, err := pkix.ParseCertificate(der)
	if err != nil {
		return root, keys.Key{}, err
	}
	var alternative []byte
	if k := cert.AlternativeKey(); k != nil {
		alternative = pqc.MarshalPKIXPublicKey(k)
	}
	k, err := keys.OfPublic(h.purpose, cert.X509.RawSubjectPublicKeyInfo, alternative, now)
	if err != nil {
		return root, k, err
	}
	want, _, err := rootTemplate(h.purpose, h.name, n, k.Public, k.Alternative, h.constraints)
	if err != nil {
		return root, k, err
	}
	if err := sameAs(cert, want, now); err != nil {
		return root, k, fmt.Errorf("%w certificate of the new root %s: %w", agents.ErrInvalid, root.ID, err)
	}
	if x := cert.X509; x.NotAfter.Sub(x.NotBefore) != h.lifetime+caBackdate {
		return root, k, fmt.Errorf("%w certificate of the new root %s: it is not valid for as long as that of the root before", agents.ErrInvalid, root.ID)
	}
	return root, k, nil
}

// CheckCross checks the cross-certificate of a root that another one has signed elsewhere.
func CheckCross(by *Issuer, of Authority, der []byte, now time.Time) (Authority, error) {
	return checkAgain(by, of, usageCross, der, now)
}

// CheckRecertified checks the certificate of an issuing CA that another root has signed
// elsewhere.
func CheckRecertified(by *Issuer, of Authority, der []byte, now time.Time) (Authority, error) {
	return checkAgain(by, of, usageIssuing, der, now)
}

func checkAgain(by *Issuer, of Authority, usage byte, der []byte, now time.Time) (Authority, error) {
	wrong := func(err error) (Authority, error) {
		return Authority{}, fmt.Errorf("%w certificate of %s by the root %s: %w", agents.ErrInvalid, of.ID, by.ID, err)
	}
	cert, err := signedBy(by, der)
	if err != nil {
		return wrong(err)
	}
	want, end, err := againTemplate(of, by, usage, by.extensions)
	if err == nil {
		err = sameAs(cert, want, now)
	}
	if err == nil && !cert.X509.NotAfter.Equal(end) {
		err = fmt.Errorf("it ends at %s, and must end at %s", cert.X509.NotAfter.Format(time.RFC3339), end.Format(time.RFC3339))
	}
	if err != nil {
		return wrong(err)
	}
	return Authority{ID: of.ID, Root: by.ID, Certificate: der, NotAfter: cert.X509.NotAfter}, nil
}

// sameAs checks that a certificate is what would be made here, apart from serial number, end and
// signature, and may be used now.
func sameAs(cert *pkix.Certificate, want *tbsCertificate, now time.Time) error {
	x := cert.X509
	extensions, err := sameExtensions(x.Extensions, want.Extensions)
	switch {
	case err != nil:
		return err
	case x.Version != 3 || !bytes.Equal(x.RawSubjectPublicKeyInfo, want.PublicKey):
		return fmt.Errorf("it is for another key")
	case !bytes.Equal(x.RawSubject, want.Subject) || !bytes.Equal(x.RawIssuer, want.Issuer):
		return fmt.Errorf("its names are %.100q and %.100q, and others are expected: make a new request", x.Subject.String(), x.Issuer.String())
	case !extensions:
		return fmt.Errorf("its extensions are not those that the root makes: path length, usages, name constraints, addresses of CRL and OCSP")
	case x.SerialNumber.BitLen() != 127: // as newAuthority makes them
		return fmt.Errorf("its serial number has not 16 octets")
	case now.Before(x.NotBefore):
		return fmt.Errorf("it is valid from %s on, which is not yet: compare the clocks of both machines", x.NotBefore.Format(time.RFC3339))
	case !now.Before(x.NotAfter):
		return fmt.Errorf("it ended at %s", x.NotAfter.Format(time.RFC3339))
	}
	return nil
}
