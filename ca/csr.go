package ca

import (
	"cmp"
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// MaxCSR is the largest certificate request that is looked at, in octets of
// DER: the largest keys in use make requests of about 5 kB.
const MaxCSR = 16 << 10

// A CSR is a PKCS #10 request (RFC 2986) whose signature and key were checked.
// Its names are wishes: only the registry gives names.
type CSR struct {
	PublicKey  []byte // SubjectPublicKeyInfo
	CN         string
	Names      []agents.Identifier // the alternative names, in lower case, each once; see Asked
	URIs       []string
	MustStaple bool // the certificate shall have the TLS feature status_request (RFC 7633)

	components components.Key // of the key
}

// ParseCSRPEM reads a request from one PEM block (RFC 7468, section 7).
func ParseCSRPEM(text []byte) (*CSR, error) {
	der, err := pkix.ReadPEM(text, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	if err != nil {
		return nil, fmt.Errorf("%w certificate request: %w", agents.ErrInvalid, err)
	}
	return ParseCSR(der)
}

// ParseCSR reads a request in DER. It refuses one that is too large, whose
// signature does not prove possession of the key, whose key is weak, or which
// asks for what no agent is given.
func ParseCSR(der []byte) (*CSR, error) {
	if len(der) > MaxCSR {
		return nil, fmt.Errorf("%w certificate request: %d octets, want at most %d", agents.ErrInvalid, len(der), MaxCSR)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w certificate request: %w", agents.ErrInvalid, cmp.Or(refusedWish(der), err))
	}
	pq, err := pqc.ParsePKIXPublicKey(r.RawSubjectPublicKeyInfo)
	switch {
	case err == nil:
		return parsePostQuantum(der, pq)
	case !errors.Is(err, pqc.ErrUnknownAlgorithm):
		return nil, fmt.Errorf("%w certificate request: %v", agents.ErrInvalid, err)
	}
	if err := agents.CheckKey(r.PublicKey); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := agents.CheckEncoding(r.RawSubjectPublicKeyInfo, r.PublicKey); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if !pkix.AcceptsClassical(r.SignatureAlgorithm) {
		return nil, fmt.Errorf("%w certificate request: signature algorithm %s, want ECDSA or RSA with SHA-256 or more, Ed25519, ML-DSA or a composite", agents.ErrInvalid, r.SignatureAlgorithm)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w certificate request: its signature is wrong: %v", agents.ErrInvalid, err)
	}
	return newCSR(r, nil)
}

// parsePostQuantum reads a request for an ML-DSA or composite key. Both halves
// of a composite must have signed.
func parsePostQuantum(der []byte, pq *pqc.PublicKey) (*CSR, error) {
	if err := agents.CheckKey(pq); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	r, err := pkix.ParseCSR(der)
	if err != nil {
		return nil, fmt.Errorf("%w certificate request: %v", agents.ErrInvalid, err)
	}
	if _, err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w certificate request: its signature is wrong: %v", agents.ErrInvalid, err)
	}
	return newCSR(r.X509, pq)
}

// newCSR reads what a request asks for. pq is the key if it is a post-quantum one.
func newCSR(r *x509.CertificateRequest, pq *pqc.PublicKey) (*CSR, error) {
	c := &CSR{PublicKey: r.RawSubjectPublicKeyInfo}
	var err error
	if c.CN, err = readCommonName(r.Subject); err != nil {
		return nil, fmt.Errorf("%w certificate request: %w", agents.ErrInvalid, err)
	}
	if c.components, err = components.Parsed(c.PublicKey, pq); err != nil {
		return nil, fmt.Errorf("%w certificate request: %v", agents.ErrInvalid, err)
	}
	asked, err := wishes(r.RawTBSCertificateRequest)
	for _, w := range asked {
		if err == nil {
			err = c.take(w)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w certificate request: %w", agents.ErrInvalid, err)
	}
	return c, nil
}

// readCommonName refuses a second one, which would be left out.
func readCommonName(subject xpkix.Name) (string, error) {
	n := 0
	for _, a := range subject.Names {
		if a.Type.Equal(oidCommonName) {
			n++
		}
	}
	if n > 1 {
		return "", fmt.Errorf("its subject has %d common names; put one, and further names among the alternative names", n)
	}
	return subject.CommonName, nil
}

// asksForCA reads BasicConstraints (RFC 5280, section 4.2.1.9). It reports true if
// it cannot read them.
func asksForCA(value []byte) bool {
	var bc struct {
		CA      bool `asn1:"optional"`
		PathLen int  `asn1:"optional,default:-1"`
	}
	rest, err := asn1.Unmarshal(value, &bc)
	return err != nil || len(rest) > 0 || bc.CA
}
