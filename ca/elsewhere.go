package ca

import (
	"bytes"
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage/keys"
)

// name returns the authority's name, with which the common name of its root begins.
func (a Authority) name() (string, error) {
	cert, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return "", fmt.Errorf("reading the certificate of root %s: %w", a.ID, err)
	}
	return nameIn(cert.Subject.CommonName), nil
}

// DescribeRoot is [RootIssuer] without the root's key: it cannot sign, and what the root
// signed elsewhere can be compared with it.
func DescribeRoot(a Authority, baseURL string) (*Issuer, error) {
	i, _, err := describe([]Authority{a}, strings.TrimSuffix(baseURL, "/"))
	return i, err
}

// ParseRoot reads the certificate of a root, which must have signed it itself.
func ParseRoot(der []byte) (Authority, error) {
	cert, err := pkix.ParseCertificate(der)
	if err == nil {
		_, err = cert.CheckSelfSigned()
	}
	if err != nil {
		return Authority{}, fmt.Errorf("%w root certificate: %w", agents.ErrInvalid, err)
	}
	x := cert.X509
	id, err := keys.SubjectKeyID(x.RawSubjectPublicKeyInfo)
	if err != nil {
		return Authority{}, err
	}
	if !x.IsCA || !bytes.Equal(x.SubjectKeyId, id) || nameIn(x.Subject.CommonName) == x.Subject.CommonName {
		return Authority{}, fmt.Errorf("%w root certificate: it is not one of a root of brevet", agents.ErrInvalid)
	}
	return Authority{ID: fmt.Sprintf("%x", id), Root: fmt.Sprintf("%x", id), Certificate: der, NotAfter: x.NotAfter}, nil
}

// MayCertify tells whether a root signs issuers of a purpose: that of the authority's own
// HTTPS signs for nothing else.
func (a Authority) MayCertify(p keys.Purpose) error {
	cert, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return err
	}
	spec, err := Purposes().Of(p)
	if err != nil || spec.Rotation != keys.ByRoot {
		return fmt.Errorf("%w purpose %.40q: a root signs no such certificate", agents.ErrInvalid, p)
	}
	if len(cert.ExtKeyUsage) > 0 && p != keys.HTTPSIssuer {
		return fmt.Errorf("%w purpose: the root %s is only for the authority's own HTTPS, and signs no %s", agents.ErrInvalid, a.ID, p)
	}
	return nil
}

// RequestIssuing returns the DER request (RFC 2986) by which a root is asked elsewhere to
// certify k, whose signer is given. It has the name that the issuer will have, and the
// alternative key if there is one.
func RequestIssuing(root *Issuer, k keys.Key, s Signer) ([]byte, error) {
	name, err := Authority{ID: root.ID, Certificate: root.Certificate()}.name()
	if err != nil {
		return nil, err
	}
	t, _, err := issuing(name, k, root)
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{RawSubject: t.Subject}
	if alternative := s.pkix.Alternative(); alternative != nil {
		var e xpkix.Extension
		if _, err := asn1.Unmarshal(pkix.AlternativeKey(alternative), &e); err != nil {
			return nil, err
		}
		template.ExtraExtensions = []xpkix.Extension{e}
	}
	return pkix.CreateCSR(template, s.pkix)
}

// RequestedKey reads what RequestIssuing made, on the machine that has the root's key. It
// refuses a request for anything else than an issuer of this root, and one that is not
// signed by the key that it is for. The signature covers the alternative key, too.
func RequestedKey(root *Issuer, p keys.Purpose, der []byte, now time.Time) (keys.Key, error) {
	r, err := pkix.ParseCSR(der)
	if err == nil {
		_, err = r.CheckSignature()
	}
	if err != nil {
		return keys.Key{}, fmt.Errorf("%w: %w", agents.ErrInvalid, err)
	}
	var alternative []byte
	if k := r.AlternativeKey(); k != nil {
		alternative = pqc.MarshalPKIXPublicKey(k)
	}
	k, err := keys.OfPublic(p, r.X509.RawSubjectPublicKeyInfo, alternative, now)
	if err != nil {
		return k, err
	}
	spec, err := Purposes().Of(p)
	if err == nil {
		err = spec.Check(k.Algorithm)
	}
	if err != nil {
		return k, fmt.Errorf("%w %w", agents.ErrInvalid, err)
	}
	self := Authority{ID: root.ID, Certificate: root.Certificate()}
	name, err := self.name()
	if err := errors.Join(err, self.MayCertify(p)); err != nil {
		return k, err
	}
	t, id, err := issuing(name, k, root)
	switch {
	case err != nil:
		return k, err
	case id == root.ID:
		return k, fmt.Errorf("%w request: it is for the root's own key", agents.ErrInvalid)
	case !bytes.Equal(r.X509.RawSubject, t.Subject) || len(r.X509.Extensions) > 1 || len(r.X509.Extensions) == 1 && alternative == nil:
		return k, fmt.Errorf("%w request: it asks for another name or for extensions, and a root certifies only issuers of its own authority", agents.ErrInvalid)
	}
	return k, nil
}

// IssueElsewhere is [NewIssuing] for a key that [RequestedKey] read.
func IssueElsewhere(root *Issuer, k keys.Key, lifetime time.Duration, now time.Time) (Authority, error) {
	name, err := Authority{ID: root.ID, Certificate: root.Certificate()}.name()
	if err != nil {
		return Authority{}, err
	}
	return NewIssuing(name, k, root, lifetime, now)
}

// CheckIssuing checks a certificate that a root has signed elsewhere for the key k: that it is
// what NewIssuing would make, apart from serial number, dates and signature, and may be used
// now.
func CheckIssuing(root *Issuer, k keys.Key, der []byte, now time.Time) (Authority, error) {
	wrong := func(format string, args ...any) (Authority, error) {
		return Authority{}, fmt.Errorf("%w certificate for the key %s: %w", agents.ErrInvalid, k.ID, fmt.Errorf(format, args...))
	}
	cert, err := signedBy(root, der)
	if err != nil {
		return wrong("%w", err)
	}
	name, err := Authority{ID: root.ID, Certificate: root.Certificate()}.name()
	if err != nil {
		return Authority{}, err
	}
	want, id, err := issuing(name, k, root)
	if err != nil {
		return Authority{}, err
	}
	extensions, err := sameExtensions(cert.X509.Extensions, want.Extensions)
	x := cert.X509
	switch {
	case err != nil:
		return Authority{}, err
	case x.Version != 3 || !bytes.Equal(x.RawSubjectPublicKeyInfo, want.PublicKey):
		return wrong("it is for another key")
	case !bytes.Equal(x.RawSubject, want.Subject):
		return wrong("its name is %.100q, which is not that of an issuer of this authority", x.Subject.String())
	case !extensions:
		return wrong("its extensions are not those of an issuer of this authority: path length, usages, addresses of CRL and OCSP")
	case x.SerialNumber.BitLen() != 127: // as newAuthority makes them
		return wrong("its serial number has not 16 octets")
	case now.Before(x.NotBefore):
		return wrong("it is valid from %s on, which is not yet: compare the clocks of both machines", x.NotBefore.Format(time.RFC3339))
	case x.NotBefore.Before(root.NotBefore) || x.NotAfter.After(root.NotAfter) || !now.Before(x.NotAfter):
		return wrong("it is valid from %s to %s, which has ended or is not within the time of its root", x.NotBefore.Format(time.RFC3339), x.NotAfter.Format(time.RFC3339))
	}
	return Authority{ID: id, Root: root.ID, Certificate: der, NotAfter: x.NotAfter}, nil
}

// CheckIssued checks that a root has signed this certificate, as it is, and returns it.
func CheckIssued(root *Issuer, der []byte) (Authority, error) {
	cert, err := signedBy(root, der)
	if err != nil {
		return Authority{}, fmt.Errorf("%w certificate of an issuer: %w", agents.ErrInvalid, err)
	}
	x := cert.X509
	return Authority{ID: fmt.Sprintf("%x", x.SubjectKeyId), Root: root.ID, Certificate: der, NotAfter: x.NotAfter}, nil
}

// signedBy reads a certificate that a root has signed, as all of its halves do.
func signedBy(root *Issuer, der []byte) (*pkix.Certificate, error) {
	issuer, err := pkix.ParseCertificate(root.Certificate())
	if err != nil {
		return nil, err
	}
	cert, err := pkix.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if _, err := cert.CheckSignatureFrom(issuer); err != nil {
		return nil, err
	}
	if cert.AlternativelySigned() != (issuer.AlternativeKey() != nil) {
		return nil, errors.New("it must have an alternative signature exactly if the root has an alternative key")
	}
	return cert, nil
}

// sameExtensions reports whether a certificate has exactly these DER Extensions in their
// order, besides those of an alternative signature, which signedBy looks at.
func sameExtensions(got []xpkix.Extension, want []byte) (bool, error) {
	got = slices.DeleteFunc(slices.Clone(got), func(e xpkix.Extension) bool {
		return e.Id.Equal(oidAltAlgorithm) || e.Id.Equal(oidAltSignature)
	})
	for _, e := range got {
		var one xpkix.Extension
		if len(want) == 0 {
			return false, nil
		}
		rest, err := asn1.Unmarshal(want, &one)
		if err != nil {
			return false, err
		}
		if want = rest; !one.Id.Equal(e.Id) || one.Critical != e.Critical || !bytes.Equal(one.Value, e.Value) {
			return false, nil
		}
	}
	return len(want) == 0, nil
}
