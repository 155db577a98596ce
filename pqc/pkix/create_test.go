package pkix

import (
	"crypto"
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
)

func rootTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: xpkix.Name{CommonName: "root"}, NotBefore: now, NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func leafTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: xpkix.Name{CommonName: "leaf"}, NotBefore: now, NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, DNSNames: []string{"leaf.example"},
	}
}

// TestCreate makes a root, a certificate and a CRL in each mode from what an importer
// of this package has.
func TestCreate(t *testing.T) {
	for _, m := range modes {
		s := newSigner(t, m)
		template := rootTemplate()
		root := must(ParseCertificate(must(CreateCertificate(template, nil, nil, s))(t)))(t)
		if template.SubjectKeyId != nil || len(template.ExtraExtensions) > 0 {
			t.Errorf("%s: the template was changed", m)
		}
		if p, err := root.CheckSelfSigned(); err != nil || p != protections[m] {
			t.Errorf("%s: the root: %v, %v", m, p, err)
		}
		subject := newSigner(t, compositeMode)
		leaf := must(ParseCertificate(must(CreateCertificate(leafTemplate(), root, subject.PublicKey(), s))(t)))(t)
		if !leaf.PublicKey().Equal(subject.key.Public()) || string(leaf.X509.AuthorityKeyId) != string(root.X509.SubjectKeyId) || len(root.X509.SubjectKeyId) != 20 {
			t.Errorf("%s: the leaf is for another key, or by one", m)
		}
		list := must(ParseCRL(must(CreateCRL(&x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, root, s))(t)))(t)
		o := &Options{
			Roots: []*Certificate{root}, Time: now, Host: "leaf.example", Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			CRLs: []*CRL{list}, RequireCRLs: true, RequireHybrid: m != classicalMode,
		}
		if p, err := leaf.Verify(o); err != nil || p.Protection() != protections[m] {
			t.Errorf("%s: %v, %v", m, p, err)
		}
	}
}

// TestCreateTheLeast: a certificate without extensions has no empty list of them.
func TestCreateTheLeast(t *testing.T) {
	s := newSigner(t, pureMode)
	c := must(ParseCertificate(must(CreateCertificate(&x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now}, nil, nil, s))(t)))(t)
	if len(c.X509.Extensions) > 0 {
		t.Errorf("got %v", c.X509.Extensions)
	}
	parts := must(splitTBS(c.signed.tbs, certificateExtensions))(t)
	if string(must(parts.marshal(parts.signature))(t)) != string(c.signed.tbs) {
		t.Error("it has a place for extensions and none in it")
	}
}

// A faulty key signs something else.
type faulty struct{ crypto.Signer }

func (f faulty) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return f.Signer.Sign(r, append([]byte{digest[0] ^ 1}, digest[1:]...), opts)
}

func TestCreateRefusals(t *testing.T) {
	s, other := newSigner(t, alternativeMode), newSigner(t, alternativeMode)
	root := must(ParseCertificate(must(CreateCertificate(rootTemplate(), nil, nil, s))(t)))(t)
	spki := newSigner(t, pureMode).PublicKey()
	decorating := must(NewAlternativeSigner(s.key, other.alt))(t)
	bare := must(ParseCertificate(must(CreateCertificate(rootTemplate(), nil, nil, must(NewSigner(s.key))(t)))(t)))(t)
	ofLeaf := newSigner(t, pureMode)
	leaf := must(ParseCertificate(must(CreateCertificate(leafTemplate(), root, ofLeaf.PublicKey(), s))(t)))(t)
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	encipher := leafTemplate()
	encipher.KeyUsage = x509.KeyUsageKeyEncipherment
	for name, c := range map[string]struct {
		make func() ([]byte, error)
		why  string
	}{
		"another key than the issuer's": {func() ([]byte, error) { return CreateCertificate(leafTemplate(), root, spki, other) }, "certificate: the key is not that of"},
		"another alternative key":       {func() ([]byte, error) { return CreateCertificate(leafTemplate(), root, spki, decorating) }, "decoration"},
		"none in the issuer":            {func() ([]byte, error) { return CreateCertificate(leafTemplate(), bare, spki, s) }, "decoration"},
		"a key to encipher with":        {func() ([]byte, error) { return CreateCertificate(encipher, root, spki, s) }, "must have none of keyEncipherment"},
		"another alternative key in itself": {func() ([]byte, error) {
			t := rootTemplate()
			t.ExtraExtensions = []xpkix.Extension{{Id: oidAltPublicKey, Value: pqc.MarshalPKIXPublicKey(other.Alternative())}}
			return CreateCertificate(t, nil, nil, s)
		}, "not of the alternative key"},
		"a signature that is broken": {func() ([]byte, error) {
			broken := *s
			broken.key = faulty{s.key}
			return CreateCertificate(leafTemplate(), root, spki, &broken)
		}, "does not verify"},
		"no key":                     {func() ([]byte, error) { return CreateCertificate(leafTemplate(), root, nil, s) }, "must be a DER SubjectPublicKeyInfo"},
		"half a key":                 {func() ([]byte, error) { return CreateCertificate(leafTemplate(), root, spki[:40], s) }, "must be a DER SubjectPublicKeyInfo"},
		"self-signed for another":    {func() ([]byte, error) { return CreateCertificate(rootTemplate(), nil, spki, s) }, "is for another"},
		"an issuer that is no CA":    {func() ([]byte, error) { return CreateCertificate(leafTemplate(), leaf, spki, ofLeaf) }, "is not a CA"},
		"a CRL by one that is no CA": {func() ([]byte, error) { return CreateCRL(list, leaf, ofLeaf) }, "is not a CA"},
		"a CRL by nobody":            {func() ([]byte, error) { return CreateCRL(list, nil, s) }, "needs the certificate of its issuer"},
		"a CRL by another key":       {func() ([]byte, error) { return CreateCRL(list, root, other) }, "CRL: the key is not that of"},
		"a decorated CRL":            {func() ([]byte, error) { return CreateCRL(list, bare, s) }, "decoration"},
		"a CRL without a number":     {func() ([]byte, error) { return CreateCRL(&x509.RevocationList{}, root, s) }, "Number"},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := c.make()
			refused(t, err, c.why)
			if der != nil {
				t.Error("and returned all the same")
			}
		})
	}
}
