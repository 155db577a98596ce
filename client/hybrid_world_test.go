package client

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// A mode is how an authority signs.
type mode string

const (
	classical   mode = "classical"
	alternative mode = "alternative"
	composite   mode = "composite"
	pure        mode = "pure"
)

// pqAlgorithm is small and quick: the tests are not about it.
var pqAlgorithm = map[mode]pqc.Algorithm{alternative: pqc.MLDSA44, composite: pqc.MLDSA44Ed25519SHA512, pure: pqc.MLDSA44}

// newHybridCA makes a CA that signs in a mode; without one above it is a root.
func newHybridCA(t testing.TB, m mode, name string, above *signer, changes ...func(*x509.Certificate)) *signer {
	t.Helper()
	s := &signer{}
	var err error
	s.key, err = newKey()
	check(t, err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serialNumber(t), Subject: stdpkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if m == classical {
		s.by, err = pkix.NewSigner(s.key)
		check(t, err)
	} else {
		pq, err := pqc.GenerateKey(pqAlgorithm[m])
		check(t, err)
		if m == alternative {
			s.by, err = pkix.NewAlternativeSigner(s.key, pq)
			template.ExtraExtensions = append(template.ExtraExtensions, altKey(t, pq.PublicKey()))
		} else {
			s.by, err = pkix.NewSigner(pq)
		}
		check(t, err)
	}
	for _, change := range changes {
		change(template)
	}
	issuer := above
	if issuer == nil {
		issuer = s
	}
	s.cert = issuer.signSPKI(template, s.key.Public(), s.by.PublicKey())
	return s
}

func serialNumber(t testing.TB) *big.Int {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	check(t, err)
	return n
}

// altKey is the extension by which a CA binds an alternative key.
func altKey(t testing.TB, k *pqc.PublicKey) stdpkix.Extension {
	t.Helper()
	var e stdpkix.Extension
	_, err := asn1.Unmarshal(pkix.AlternativeKey(k), &e)
	check(t, err)
	return e
}

// signSPKI has crypto/x509 encode a certificate, puts in what it would not take,
// and signs that. spki is the subject's key if it is not key.
func (s *signer) signSPKI(c *x509.Certificate, key crypto.PublicKey, spki []byte) *x509.Certificate {
	parent := s.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key, s.key)
	must(err)
	first, err := x509.ParseCertificate(der)
	must(err)
	fields := elements(first.RawTBSCertificate) // version, serial, signature, issuer, validity, subject, key, extensions
	fields[2].FullBytes = s.by.Algorithm()
	if spki != nil {
		fields[6].FullBytes = spki
	}
	signed, err := s.by.SignCertificate(joined(fields))
	must(err)
	cert, err := x509.ParseCertificate(signed)
	must(err)
	return cert
}

// elements takes a SEQUENCE apart.
func elements(der []byte) (all []asn1.RawValue) {
	_, err := asn1.Unmarshal(der, &all)
	must(err)
	return all
}

// joined puts a SEQUENCE together.
func joined(all []asn1.RawValue) []byte {
	der, err := asn1.Marshal(all)
	must(err)
	return der
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// newHybridAuthority starts an authority on loopback that signs in a mode. As a
// real one, it has a classical sibling for its HTTPS where TLS knows nothing of
// what it signs.
func newHybridAuthority(t testing.TB, m mode) *authority {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	return startAuthority(t, l, endpoint{url: "https://" + l.Addr().String()}, newHierarchy(t, m))
}

// A hierarchy is the CAs of an authority.
type hierarchy struct {
	roots          []*signer // the first is above issuing
	issuing, https *signer
}

func newHierarchy(t testing.TB, m mode) hierarchy {
	root := newHybridCA(t, m, "root", nil)
	h := hierarchy{roots: []*signer{root}, issuing: newHybridCA(t, m, "issuing", root)}
	h.https = h.issuing
	if m == composite || m == pure {
		sibling := newHybridCA(t, classical, "HTTPS root", nil)
		h.roots, h.https = append(h.roots, sibling), newHybridCA(t, classical, "HTTPS issuing", sibling)
	}
	return h
}

func newLoopback(t testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	return l
}

// leafTemplate is a certificate for an agent, valid now.
func leafTemplate(t testing.TB, changes ...func(*x509.Certificate)) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: serialNumber(t), Subject: stdpkix.Name{CommonName: "bot"}, DNSNames: []string{"bot.corp.example"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, change := range changes {
		change(c)
	}
	return c
}
