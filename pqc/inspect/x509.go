package inspect

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// Certificate checks the first certificate of a file; those that follow may help
// on the way to a root. With roots a path to one of them is validated (RFC 5280,
// section 6). With keys, the certificate must be signed with one of them, which says
// nothing about trust. Without either it must be self-signed.
func (i *Inspector) Certificate(file []byte) Verdict {
	var v Verdict
	certs, err := readCertificates(file)
	if err != nil {
		return v.refuse(err)
	}
	c := certs[0]
	v.Subject, v.Algorithm = fmt.Sprintf("%s (serial %x)", c.X509.Subject, c.X509.SerialNumber.Bytes()), signatureName(c.X509.Raw, c.X509.SignatureAlgorithm, c.X509.Extensions)
	switch {
	case len(i.roots) > 0:
		return i.path(v, c, certs[1:])
	case len(i.keys) > 0:
		return i.unanchored(v, certs, func() (pkix.Protection, string, error) { return i.byKey(c.X509.Raw, c.X509.SignatureAlgorithm) })
	case !bytes.Equal(c.X509.RawIssuer, c.X509.RawSubject):
		return v.refuse(errors.New("who is trusted is not known: give the roots"))
	}
	return i.unanchored(v, certs, func() (pkix.Protection, string, error) {
		p, err := c.CheckSelfSigned()
		return p, "nobody but itself: no roots are given, so this is no trust", err
	})
}

// path validates a path to a root.
func (i *Inspector) path(v Verdict, c *pkix.Certificate, more []*pkix.Certificate) Verdict {
	o := i.options(more)
	if o.Host = i.Host; o.Host != "" {
		o.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	path, err := c.Verify(o)
	if err != nil {
		return v.refuse(err)
	}
	if len(i.crls) > 0 && path.Lists[0] == nil {
		return v.refuse(fmt.Errorf("no CRL that is given is of its issuer %.100q, so it may be revoked", c.X509.Issuer))
	}
	return v.accept(i, path.Protection(), anchor(path)+unchecked(more, path.Certificates))
}

// unchecked says how many certificates of a file were not used and not checked.
func unchecked(more, used []*pkix.Certificate) string {
	more = slices.DeleteFunc(slices.Clone(more), func(c *pkix.Certificate) bool { return slices.ContainsFunc(used, c.Equal) })
	switch len(more) {
	case 0:
		return ""
	case 1:
		return "; 1 more in the file was not checked"
	}
	return fmt.Sprintf("; %d more in the file were not checked", len(more))
}

func (i *Inspector) options(more []*pkix.Certificate) *pkix.Options {
	return &pkix.Options{
		Roots: i.roots, Intermediates: append(slices.Clip(i.intermediates), more...), Time: i.Time,
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, RequireHybrid: i.RequireHybrid, CRLs: i.crls,
	}
}

func anchor(p *pkix.Path) string {
	return rootName(p.Certificates[len(p.Certificates)-1])
}

// rootName names a root by its fingerprint, as brevet status does.
func rootName(c *pkix.Certificate) string {
	return fmt.Sprintf("the root %x", sha256.Sum256(c.X509.Raw))
}

// unanchored checks a certificate that leads to no root, the first of a file: what
// check says of the signature, the time and the name.
func (i *Inspector) unanchored(v Verdict, certs []*pkix.Certificate, check func() (pkix.Protection, string, error)) Verdict {
	c := certs[0]
	if len(i.crls) > 0 {
		return v.refuse(errors.New("whether it is revoked can be told only with roots"))
	}
	if err := c.CheckAlone(i.Time); err != nil {
		return v.refuse(err)
	}
	if i.Host != "" {
		if err := errors.Join(c.X509.VerifyHostname(i.Host), c.CheckUsages(x509.ExtKeyUsageServerAuth)); err != nil {
			return v.refuse(err)
		}
	}
	p, trust, err := check()
	if err != nil {
		return v.refuse(err)
	}
	return v.accept(i, p, trust+unchecked(certs[1:], certs[:1]))
}

// CRL checks a file with one CRL: that it is complete and its time is now, its
// signature, and the path from its issuer to a root; or, with keys and no roots, that
// one of them has signed it.
func (i *Inspector) CRL(file []byte) Verdict {
	var v Verdict
	der, err := readOne(file, MaxCRL, "X509 CRL")
	if err != nil {
		return v.refuse(err)
	}
	l, err := pkix.ParseCRL(der)
	if err != nil {
		return v.refuse(err)
	}
	v.Subject = fmt.Sprintf("CRL %v of %s with %d entries", l.X509.Number, l.X509.Issuer, len(l.X509.RevokedCertificateEntries))
	v.Algorithm = signatureName(l.X509.Raw, l.X509.SignatureAlgorithm, l.X509.Extensions)
	if err := l.CheckComplete(i.Time); err != nil {
		return v.refuse(err)
	}
	protection, trust, err := i.issuedCRL(l)
	if err != nil {
		return v.refuse(err)
	}
	return v.accept(i, protection, trust)
}

// issuedCRL finds the issuer of l, and who vouches for it.
func (i *Inspector) issuedCRL(l *pkix.CRL) (pkix.Protection, string, error) {
	if len(i.roots) == 0 && len(i.keys) > 0 {
		return i.byKey(l.X509.Raw, l.X509.SignatureAlgorithm)
	}
	err := fmt.Errorf("no certificate is given of its issuer %.100q: give the chain", l.X509.Issuer)
	for n, issuer := range append(slices.Clip(i.roots), i.intermediates...) {
		if !bytes.Equal(issuer.X509.RawSubject, l.X509.RawIssuer) {
			continue
		}
		var p pkix.Protection
		if p, err = l.CheckSignatureFrom(issuer); err != nil {
			continue
		}
		if n < len(i.roots) {
			return p, rootName(issuer), issuer.CheckAlone(i.Time)
		}
		var path *pkix.Path
		if len(i.roots) == 0 {
			return 0, "", errors.New("who is trusted is not known: give the roots")
		}
		if path, err = issuer.Verify(i.options(nil)); err == nil {
			return min(p, path.Protection()), anchor(path), nil
		}
	}
	return 0, "", err
}

// CSR checks that a file with one certification request (PKCS #10) is signed
// with the request's own key.
func (i *Inspector) CSR(file []byte) Verdict {
	var v Verdict
	der, err := readOne(file, MaxFile, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	if err != nil {
		return v.refuse(err)
	}
	r, err := pkix.ParseCSR(der)
	if err != nil {
		return v.refuse(err)
	}
	v.Subject, v.Algorithm = fmt.Sprintf("request for %q %s", r.X509.Subject.String(), r.X509.DNSNames), signatureName(r.X509.Raw, r.X509.SignatureAlgorithm, nil)
	p, err := r.CheckSignature()
	if err != nil {
		return v.refuse(err)
	}
	return v.accept(i, p, "its own key, which proves possession and no identity")
}
