package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
)

// A CSR is a certification request (PKCS #10, RFC 2986) that was parsed and whose form
// was checked. Its signature, the proof that the asker has the key, was not: see
// CheckSignature.
type CSR struct {
	// X509 is what crypto/x509 read. Its CheckSignature must not be used.
	X509 *x509.CertificateRequest

	signed signed
	key    key
	alt    alternative
}

// ParseCSR reads a DER certification request and nothing after it.
func ParseCSR(der []byte) (*CSR, error) {
	s, err := parseSigned(der, maxRequest)
	if err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	if r.Version != 0 {
		return nil, errors.New("certification request: the version must be 0")
	}
	out := &CSR{X509: r, signed: s}
	if out.key, err = parseKey(r.RawSubjectPublicKeyInfo, r.PublicKey); err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	if err := out.checkUsage(); err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	if out.alt, err = parseAlternative(r.Extensions); err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	return out, nil
}

// checkUsage checks the key usage that is asked for, if any.
func (r *CSR) checkUsage() error {
	if r.key.pq == nil {
		return nil
	}
	for _, e := range r.X509.Extensions {
		if !e.Id.Equal(oidKeyUsage) {
			continue
		}
		var bits asn1.BitString
		if rest, err := asn1.Unmarshal(e.Value, &bits); err != nil || len(rest) > 0 {
			return errors.New("the key usage asked for is malformed")
		}
		var u x509.KeyUsage
		for i := range 9 {
			u |= x509.KeyUsage(bits.At(i) << i)
		}
		return checkKeyUsage(u)
	}
	return nil
}

// PublicKey returns the ML-DSA or composite key, or nil: classical keys are in X509.
// Before it is certified, look for its ComponentIDs among the keys that are known.
func (r *CSR) PublicKey() *pqc.PublicKey { return r.key.pq }

// AlternativeKey returns the key of a subjectAltPublicKeyInfo that is asked for, or nil.
// The signature of the other key covers it. It proves nothing about who has this one.
func (r *CSR) AlternativeKey() *pqc.PublicKey { return r.alt.key }

// CheckSignature checks that the request is signed with its own key; for a composite
// both halves are. It says what that rests on.
func (r *CSR) CheckSignature() (Protection, error) {
	p, err := r.key.check(&r.signed)
	if err != nil {
		return 0, fmt.Errorf("certification request: %w", err)
	}
	return p, nil
}

// oidExtensionRequest is the attribute that carries extensions (RFC 2985, section 5.4.2).
var oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}

// CreateCSR returns the DER certification request for the key of s, signed with it. It
// uses these fields of the template: RawSubject or Subject, DNSNames, EmailAddresses,
// IPAddresses, URIs and ExtraExtensions.
func CreateCSR(template *x509.CertificateRequest, s *Signer) ([]byte, error) {
	subject := template.RawSubject
	if len(subject) == 0 {
		var err error
		if subject, err = asn1.Marshal(template.Subject.ToRDNSequence()); err != nil {
			return nil, fmt.Errorf("certification request: subject: %w", err)
		}
	}
	extensions := slices.Clone(template.ExtraExtensions)
	san, err := subjectAltName(template)
	if err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	if san != nil {
		extensions = append(extensions, *san)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(subject)
		b.AddBytes(s.spki)
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			addExtensionRequest(b, extensions)
		})
	})
	info, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	return s.Sign(info)
}
