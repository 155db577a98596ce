// Package pkixtest makes CAs that sign in every way that package pkix knows, for
// tests. crypto/x509 encodes the certificates and lists; the signatures are put in
// afterwards.
package pkixtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// A Mode is how a CA signs.
type Mode string

const (
	Classical   Mode = "classical"
	Alternative Mode = "alternative"
	Composite   Mode = "composite"
	Pure        Mode = "pure"
)

// algorithms are small and quick: the tests are not about them.
var algorithms = map[Mode]pqc.Algorithm{Alternative: pqc.MLDSA44, Composite: pqc.MLDSA44Ed25519SHA512, Pure: pqc.MLDSA44}

// A CA has a certificate and signs others.
type CA struct {
	Cert   *x509.Certificate
	Key    crypto.Signer // crypto/x509 encodes with it, before Signer signs
	Signer *pkix.Signer
}

// NewCA makes a CA that signs in a mode; without one above it is a root. The changes
// are made before its certificate is signed.
func NewCA(t testing.TB, m Mode, name string, above *CA, changes ...func(*x509.Certificate)) *CA {
	t.Helper()
	ca := newSigner(t, m)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serialNumber(), Subject: stdpkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if alt := ca.Signer.Alternative(); alt != nil {
		template.ExtraExtensions = append(template.ExtraExtensions, alternativeKey(alt))
	}
	for _, change := range changes {
		change(template)
	}
	issuer := above
	if issuer == nil {
		issuer = ca
	}
	ca.Cert = issuer.SignSPKI(template, ca.Key.Public(), ca.Signer.PublicKey())
	return ca
}

// newSigner makes a CA without a certificate.
func newSigner(t testing.TB, m Mode) *CA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	ca := &CA{Key: key}
	if m == Classical {
		ca.Signer, err = pkix.NewSigner(key)
		check(t, err)
		return ca
	}
	pq, err := pqc.GenerateKey(algorithms[m])
	check(t, err)
	if m == Alternative {
		ca.Signer, err = pkix.NewAlternativeSigner(key, pq)
	} else {
		ca.Signer, err = pkix.NewSigner(pq)
	}
	check(t, err)
	return ca
}

// alternativeKey is the extension by which a CA binds an alternative key.
func alternativeKey(k *pqc.PublicKey) (e stdpkix.Extension) {
	_, err := asn1.Unmarshal(pkix.AlternativeKey(k), &e)
	must(err)
	return e
}

// Leaf returns the template of an agent's certificate that is valid now.
func Leaf(changes ...func(*x509.Certificate)) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: serialNumber(), Subject: stdpkix.Name{CommonName: "bot"}, DNSNames: []string{"bot.corp.example"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

func serialNumber() *big.Int {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(err)
	return n
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must is for the errors of calls that cannot fail, and of handlers that have no test
// at hand.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
