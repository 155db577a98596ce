package inspect

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func fingerprint(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }

func certificatesPEM(certs ...[]byte) (text []byte) {
	for _, der := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

// A signer is a CA.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer // what crypto/x509 encodes with, before by signs
	by   *pkix.Signer
}

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

// crl makes a CRL that revokes certs.
func (s *signer) crl(t testing.TB, number int64, certs ...*x509.Certificate) []byte {
	t.Helper()
	return s.list(t, number, func(list *x509.RevocationList) {
		for _, c := range certs {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
		}
	})
}

// list returns a CRL with a change in it.
func (s *signer) list(t testing.TB, number int64, change func(*x509.RevocationList)) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	change(list)
	der, err := x509.CreateRevocationList(rand.Reader, list, s.cert, s.key)
	check(t, err)
	parsed, err := x509.ParseRevocationList(der)
	check(t, err)
	fields := elements(parsed.RawTBSRevocationList) // version, signature, ...
	fields[1].FullBytes = s.by.Algorithm()
	der, err = s.by.SignCRL(joined(fields))
	check(t, err)
	return der
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

// A hierarchy is a root and a CA under it.
type hierarchy struct {
	roots   []*signer
	issuing *signer
}

func newHierarchy(t testing.TB, m mode) hierarchy {
	root := newHybridCA(t, m, "root", nil)
	return hierarchy{[]*signer{root}, newHybridCA(t, m, "issuing", root)}
}
