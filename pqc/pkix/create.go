package pkix

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
)

// CreateCertificate returns the DER certificate that template describes, for the key of
// a DER SubjectPublicKeyInfo, signed with s. issuer is the certificate of s, or nil for
// one that is signed with its own key: then spki may be nil. It uses the same
// fields of the template as x509.CreateCertificate, except SignatureAlgorithm.
//
// It fails rather than make a certificate that would be refused: with a key usage that
// is not for the key, by an issuer that is not a CA, with an alternative signature that
// the issuer does not bind, or with a signature that does not verify. A certificate that s
// signs for itself always binds the alternative key of s.
//
// crypto/x509 encodes the certificate and makes a signature that is thrown away. A
// program that issues many certificates should encode them itself and call
// SignCertificate.
func CreateCertificate(template *x509.Certificate, issuer *Certificate, spki []byte, s *Signer) ([]byte, error) {
	t := *template
	if issuer == nil {
		if spki != nil && !bytes.Equal(spki, s.spki) {
			return nil, errors.New("creating a certificate: it is to be signed with its own key, and is for another")
		}
		spki = s.spki
		bindAlternative(&t, s)
	} else if err := errors.Join(issuer.mayIssue(), s.checkIssuer(issuer)); err != nil {
		return nil, fmt.Errorf("creating a certificate: %w", err)
	}
	parent := &t
	if issuer != nil {
		parent = issuer.X509
	}
	tbs, err := encodeCertificate(&t, parent, spki, s.identifier)
	if err != nil {
		return nil, fmt.Errorf("creating a certificate: %w", err)
	}
	der, err := s.SignCertificate(tbs)
	if err != nil {
		return nil, fmt.Errorf("creating a certificate: %w", err)
	}
	c, err := ParseCertificate(der)
	if err == nil && issuer == nil {
		_, err = c.CheckSelfSigned()
	} else if err == nil {
		_, err = c.CheckSignatureFrom(issuer)
	}
	if err != nil {
		return nil, fmt.Errorf("creating what would be refused: %w", err)
	}
	return der, nil
}

// CreateCRL returns the DER CertificateList that template describes, signed with s, of
// which issuer is the certificate. The same fields are used as by
// x509.CreateRevocationList, except for SignatureAlgorithm.
func CreateCRL(template *x509.RevocationList, issuer *Certificate, s *Signer) ([]byte, error) {
	if issuer == nil {
		return nil, errors.New("creating a CRL: it needs the certificate of its issuer")
	}
	if err := errors.Join(issuer.maySignCRL(), s.checkIssuer(issuer)); err != nil {
		return nil, fmt.Errorf("creating a CRL: %w", err)
	}
	tbs, err := encodeCRL(template, issuer.X509, s.identifier)
	if err != nil {
		return nil, fmt.Errorf("creating a CRL: %w", err)
	}
	der, err := s.SignCRL(tbs)
	if err != nil {
		return nil, fmt.Errorf("creating a CRL: %w", err)
	}
	l, err := ParseCRL(der)
	if err == nil {
		_, err = l.CheckSignatureFrom(issuer)
	}
	if err != nil {
		return nil, fmt.Errorf("creating what would be refused: %w", err)
	}
	return der, nil
}

// checkIssuer checks that s signs with the keys that are certified in c.
func (s *Signer) checkIssuer(c *Certificate) error {
	switch {
	case !bytes.Equal(s.spki, c.X509.RawSubjectPublicKeyInfo):
		return fmt.Errorf("the key is not that of %s", c.name())
	case s.alt != nil && (c.alt.key == nil || !c.alt.key.Equal(s.alt.Public())):
		return fmt.Errorf("the alternative key is not that of %s, so its signatures would be decoration", c.name())
	}
	return nil
}

// bindAlternative adds the alternative key of s to what it will sign itself.
func bindAlternative(t *x509.Certificate, s *Signer) {
	if s.alt == nil || slices.ContainsFunc(t.ExtraExtensions, func(e xpkix.Extension) bool { return e.Id.Equal(oidAltPublicKey) }) {
		return
	}
	t.ExtraExtensions = append(slices.Clip(t.ExtraExtensions), xpkix.Extension{Id: oidAltPublicKey, Value: pqc.MarshalPKIXPublicKey(s.Alternative())})
}

// crypto/x509 signs with scratchKey when only its encoding is wanted.
var scratchKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
})

// encodeCertificate lets crypto/x509 encode a template, and puts the algorithm and the
// key in, which it would not take.
func encodeCertificate(template, parent *x509.Certificate, spki, algorithm []byte) ([]byte, error) {
	id, err := keyID(spki)
	if err != nil {
		return nil, err
	}
	k, err := scratchKey()
	if err != nil {
		return nil, err
	}
	t, above := *template, *parent
	t.SignatureAlgorithm, above.PublicKey = 0, nil // parent's would have to be the scratch key
	if t.IsCA && len(t.SubjectKeyId) == 0 {
		t.SubjectKeyId = id // else that of the scratch key is taken
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, &above, k.Public(), k)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	parts, err := splitTBS(c.RawTBSCertificate, certificateExtensions)
	if err != nil {
		return nil, err
	}
	before, ok := bytes.CutSuffix(parts.body, c.RawSubjectPublicKeyInfo)
	if !ok {
		return nil, errors.New("crypto/x509 encodes something after the key")
	}
	parts.body = slices.Concat(before, spki)
	return parts.marshal(algorithm, parts.extensions)
}

// encodeCRL is the same for a CRL.
func encodeCRL(template *x509.RevocationList, issuer *x509.Certificate, algorithm []byte) ([]byte, error) {
	k, err := scratchKey()
	if err != nil {
		return nil, err
	}
	t, above := *template, *issuer
	t.SignatureAlgorithm, above.PublicKey = 0, nil
	der, err := x509.CreateRevocationList(rand.Reader, &t, &above, k)
	if err != nil {
		return nil, err
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	parts, err := splitTBS(l.RawTBSRevocationList, crlExtensions)
	if err != nil {
		return nil, err
	}
	return parts.marshal(algorithm, parts.extensions)
}

// keyID is the leftmost 160 bits of the SHA-256 of the key (RFC 7093, section 2, method
// 1), as crypto/x509 has it.
func keyID(spki []byte) ([]byte, error) {
	in := cryptobyte.String(spki)
	var seq cryptobyte.String
	var key []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.SkipASN1(cbasn1.SEQUENCE) || !seq.ReadASN1BitStringAsBytes(&key) || !seq.Empty() {
		return nil, errors.New("the key must be a DER SubjectPublicKeyInfo")
	}
	sum := sha256.Sum256(key)
	return sum[:20], nil
}
