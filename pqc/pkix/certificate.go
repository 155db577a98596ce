package pkix

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/pqc"
)

// A Certificate was parsed and its form was checked. Its signature was not checked:
// see CheckSignatureFrom and Verify.
type Certificate struct {
	// X509 is what crypto/x509 read. Its own methods for checking signatures and paths
	// know no post-quantum algorithm and must not be used.
	X509 *x509.Certificate

	signed signed
	key    key
	alt    alternative
}

// ParseCertificate reads a DER certificate and nothing after it.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("certificate: longer than %d octets", maxCertificate)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return NewCertificate(c)
}

// NewCertificate checks what crypto/x509 has parsed, such as the certificates of a
// TLS connection, as ParseCertificate does.
func NewCertificate(c *x509.Certificate) (*Certificate, error) {
	s, err := parseSigned(c.Raw, maxCertificate)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	out := &Certificate{X509: c, signed: s}
	// The TBS must be whole: crypto/x509 stops reading after the extensions.
	if _, err := splitTBS(s.tbs, certificateExtensions); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if out.key, err = parseKey(c.RawSubjectPublicKeyInfo, c.PublicKey); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if out.key.pq != nil && out.hasExtension(oidKeyUsage) {
		if err := checkKeyUsage(c.KeyUsage); err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
	}
	if out.alt, err = parseAlternative(c.Extensions); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return out, nil
}

// PublicKey returns the subject's ML-DSA or composite key, or nil: classical keys are
// in X509.
func (c *Certificate) PublicKey() *pqc.PublicKey { return c.key.pq }

// AlternativeKey returns the key of subjectAltPublicKeyInfo, or nil. Only the
// signature on c binds it to the subject.
func (c *Certificate) AlternativeKey() *pqc.PublicKey { return c.alt.key }

// AlternativelySigned reports whether c carries an alternative signature, be it
// right or wrong.
func (c *Certificate) AlternativelySigned() bool { return c.alt.signed() }

// Equal reports whether both are the same, octet by octet.
func (c *Certificate) Equal(o *Certificate) bool { return bytes.Equal(c.X509.Raw, o.X509.Raw) }

// CheckSignature checks a signature over message with the subject's key. The algorithm
// is a DER AlgorithmIdentifier, which must name the key's. It is for what is neither a
// certificate nor a CRL, such as an OCSP response.
func (c *Certificate) CheckSignature(algorithm, message, signature []byte) (Protection, error) {
	if err := checkIdentifier(algorithm); err != nil {
		return 0, err
	}
	return c.key.check(&signed{tbs: message, identifier: algorithm, signature: signature})
}

// CheckSignatureFrom checks that issuer, a CA, has issued c, and says what the
// signature rests on. An alternative signature is checked if the issuer's certificate
// has an alternative key; if it does not verify, c is refused. Verify checks whether
// issuer is trusted and whether both certificates are valid at the time.
func (c *Certificate) CheckSignatureFrom(issuer *Certificate) (Protection, error) {
	if !bytes.Equal(c.X509.RawIssuer, issuer.X509.RawSubject) {
		return 0, errors.New("the name of its issuer is another")
	}
	if err := issuer.mayIssue(); err != nil {
		return 0, err
	}
	return issuer.checkSigned(&c.signed, &c.alt, certificateExtensions)
}

// CheckSelfSigned checks that c is signed with its own key, which says that its maker
// had the key and nothing about trust. An alternative signature is checked with the
// alternative key.
func (c *Certificate) CheckSelfSigned() (Protection, error) {
	if !bytes.Equal(c.X509.RawIssuer, c.X509.RawSubject) {
		return 0, errors.New("the certificate names another issuer than itself")
	}
	return c.checkSigned(&c.signed, &c.alt, certificateExtensions)
}
