package pkix

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// A mode is one way for an issuer to sign.
type mode string

const (
	classicalMode   mode = "classical"
	pureMode        mode = "pure"
	compositeMode   mode = "composite"
	alternativeMode mode = "alternative"
)

var modes = []mode{classicalMode, pureMode, compositeMode, alternativeMode}

var protections = map[mode]Protection{
	classicalMode: Classical, pureMode: PostQuantum, compositeMode: Composite, alternativeMode: Alternative,
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newECDSA(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
}

func newPQ(t testing.TB, alg pqc.Algorithm) *pqc.PrivateKey {
	t.Helper()
	return must(pqc.GenerateKey(alg))(t)
}

func newSigner(t testing.TB, m mode) *Signer {
	t.Helper()
	switch m {
	case pureMode:
		return must(NewSigner(newPQ(t, pqc.MLDSA65)))(t)
	case compositeMode:
		return must(NewSigner(newPQ(t, pqc.MLDSA65ECDSAP256SHA512)))(t)
	case alternativeMode:
		return must(NewAlternativeSigner(newECDSA(t), newPQ(t, pqc.MLDSA65)))(t)
	default:
		return must(NewSigner(newECDSA(t)))(t)
	}
}

// An entity is a certificate of the test world, what it was made from and what it
// signs with.
type entity struct {
	*Certificate
	template *x509.Certificate
	signer   *Signer
}

var serials struct {
	sync.Mutex
	last int64
}

func nextSerial() *big.Int {
	serials.Lock()
	defer serials.Unlock()
	serials.last++
	return big.NewInt(serials.last)
}

type change = func(*x509.Certificate)

func with(oid asn1.ObjectIdentifier, critical bool, value []byte) change {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, xpkix.Extension{Id: oid, Critical: critical, Value: value})
	}
}

// newCA makes a CA whose key signs in mode m; without a parent it is a root.
func newCA(t testing.TB, m mode, name string, parent *entity, changes ...change) *entity {
	t.Helper()
	return certify(t, name, parent, newSigner(t, m), append([]change{func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}}, changes...)...)
}

// newLeaf makes a certificate for a TLS client and server.
func newLeaf(t testing.TB, name string, parent *entity, changes ...change) *entity {
	t.Helper()
	return certify(t, name, parent, newSigner(t, classicalMode), append([]change{func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		c.DNSNames = []string{name}
	}}, changes...)...)
}

func certify(t testing.TB, name string, parent *entity, s *Signer, changes ...change) *entity {
	t.Helper()
	e := &entity{signer: s, template: &x509.Certificate{
		SerialNumber: nextSerial(), Subject: xpkix.Name{CommonName: name}, SubjectKeyId: []byte(name),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}}
	if alt := s.Alternative(); alt != nil {
		x := extensionOf(t, AlternativeKey(alt))
		e.template.ExtraExtensions = append(e.template.ExtraExtensions, x)
	}
	for _, change := range changes {
		change(e.template)
	}
	if parent == nil {
		parent = e
	}
	e.Certificate = must(ParseCertificate(signAs(t, parent, e)))(t)
	return e
}

// signAs returns the certificate that parent makes of what e.template says.
func signAs(t testing.TB, parent, e *entity) []byte {
	t.Helper()
	return must(parent.signer.SignCertificate(tbsOf(t, parent, e)))(t)
}

// tbsOf encodes what signAs signs, though no issuer should sign it.
func tbsOf(t testing.TB, parent, e *entity) []byte {
	t.Helper()
	return must(encodeCertificate(e.template, parent.template, e.signer.PublicKey(), parent.signer.Algorithm()))(t)
}

// newCRL makes a CRL of e; change may alter what it is made from.
func newCRL(t testing.TB, e *entity, changes ...func(*x509.RevocationList)) *CRL {
	t.Helper()
	return must(ParseCRL(crlDER(t, e, changes...)))(t)
}

func crlDER(t testing.TB, e *entity, changes ...func(*x509.RevocationList)) []byte {
	t.Helper()
	return must(e.signer.SignCRL(crlTBS(t, e, changes...)))(t)
}

func crlTBS(t testing.TB, e *entity, changes ...func(*x509.RevocationList)) []byte {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Minute)}
	for _, change := range changes {
		change(template)
	}
	issuer := *e.template
	issuer.KeyUsage |= x509.KeyUsageCRLSign
	return must(encodeCRL(template, &issuer, e.signer.Algorithm()))(t)
}

func revoking(certs ...*entity) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		for _, c := range certs {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.X509.SerialNumber, RevocationTime: now, ReasonCode: 1})
		}
	}
}

// extensionOf reads a DER Extension that is not critical.
func extensionOf(t testing.TB, der []byte) xpkix.Extension {
	t.Helper()
	var e xpkix.Extension
	if rest, err := asn1.Unmarshal(der, &e); err != nil || len(rest) > 0 {
		t.Fatal(err, rest)
	}
	return e
}

// options are those under which the test world is valid.
func options(root *entity, intermediates ...*entity) *Options {
	o := &Options{Roots: []*Certificate{root.Certificate}, Time: now, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, i := range intermediates {
		o.Intermediates = append(o.Intermediates, i.Certificate)
	}
	return o
}

// refused checks that err says why.
func refused(t *testing.T, err error, why string) {
	t.Helper()
	if err == nil {
		t.Error("accepted")
	} else if !strings.Contains(err.Error(), why) {
		t.Errorf("got the error %q, which does not say %q", err, why)
	}
}

func verified(t *testing.T, c *entity, o *Options) *Path {
	t.Helper()
	return must(c.Verify(o))(t)
}

func sequence(parts ...[]byte) []byte { return element(cbasn1.SEQUENCE, parts...) }

func element(tag cbasn1.Tag, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddBytes(p)
		}
	})
	return b.BytesOrPanic()
}

// signRaw signs what no Signer would: any TBS, naming any algorithm outside.
func signRaw(t testing.TB, k crypto.Signer, tbs, algorithm []byte) []byte {
	t.Helper()
	s := must(NewSigner(k))(t)
	s.identifier = algorithm
	return must(s.Sign(tbs))(t)
}
