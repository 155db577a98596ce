package pkixtest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

// Sign returns a certificate for key. A CA without a certificate signs its own.
func (ca *CA) Sign(c *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	return ca.SignSPKI(c, key, nil)
}

// SignSPKI is Sign for a subject whose key is spki, which crypto/x509 may not be able
// to encode. It encodes key first, in the place of spki.
func (ca *CA) SignSPKI(c *x509.Certificate, key crypto.PublicKey, spki []byte) *x509.Certificate {
	parent := ca.Cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key, ca.Key)
	must(err)
	first, err := x509.ParseCertificate(der)
	must(err)
	fields := Elements(first.RawTBSCertificate) // version, serial, signature, issuer, validity, subject, key, extensions
	fields[2].FullBytes = ca.Signer.Algorithm()
	if spki != nil {
		fields[6].FullBytes = spki
	}
	signed, err := ca.Signer.SignCertificate(Join(fields))
	must(err)
	cert, err := x509.ParseCertificate(signed)
	must(err)
	return cert
}

// CRL makes a CRL that revokes certs.
func (ca *CA) CRL(t testing.TB, number int64, certs ...*x509.Certificate) []byte {
	t.Helper()
	return ca.List(t, number, func(list *x509.RevocationList) {
		for _, c := range certs {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
		}
	})
}

// List makes a CRL with a change in it.
func (ca *CA) List(t testing.TB, number int64, change func(*x509.RevocationList)) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	change(list)
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Cert, ca.Key)
	check(t, err)
	parsed, err := x509.ParseRevocationList(der)
	check(t, err)
	fields := Elements(parsed.RawTBSRevocationList) // version, signature, ...
	fields[1].FullBytes = ca.Signer.Algorithm()
	der, err = ca.Signer.SignCRL(Join(fields))
	check(t, err)
	return der
}

// Elements takes a DER SEQUENCE apart.
func Elements(der []byte) (all []asn1.RawValue) {
	_, err := asn1.Unmarshal(der, &all)
	must(err)
	return all
}

// Join puts a DER SEQUENCE together.
func Join(all []asn1.RawValue) []byte {
	der, err := asn1.Marshal(all)
	must(err)
	return der
}
