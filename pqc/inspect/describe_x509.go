package inspect

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strconv"

	"github.com/brevet-ca/brevet/pqc"
)

// subjectAltPublicKeyInfo of ITU-T X.509 (2019), 9.8.
var subjectAltPublicKeyInfo = asn1.ObjectIdentifier{2, 5, 29, 72}

func describeCertificate(der []byte) (Description, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return Description{}, err
	}
	d := Description{
		Kind: "certificate", Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: hexadecimal(c.SerialNumber),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, CA: c.BasicConstraintsValid && c.IsCA,
		Names: namesIn(c.DNSNames, c.IPAddresses, c.URIs, c.EmailAddresses),
		Key:   keyName(c.RawSubjectPublicKeyInfo, c.PublicKey), AlternativeKey: alternativeName(c.Extensions),
		Signature: signatureName(c.Raw, c.SignatureAlgorithm, c.Extensions),
		KeyUsage:  usages(c.KeyUsage), KeyID: fmt.Sprintf("%x", c.SubjectKeyId), IssuerKeyID: fmt.Sprintf("%x", c.AuthorityKeyId),
		CRLs: c.CRLDistributionPoints, OCSP: c.OCSPServer, Fingerprint: fmt.Sprintf("%x", sha256.Sum256(der)),
		Permitted: c.PermittedDNSDomains, Excluded: c.ExcludedDNSDomains,
	}
	for _, u := range c.ExtKeyUsage {
		d.ExtKeyUsage = append(d.ExtKeyUsage, u.String())
	}
	for _, u := range c.UnknownExtKeyUsage {
		d.ExtKeyUsage = append(d.ExtKeyUsage, u.String())
	}
	for _, n := range c.PermittedIPRanges {
		d.Permitted = append(d.Permitted, n.String())
	}
	for _, n := range c.ExcludedIPRanges {
		d.Excluded = append(d.Excluded, n.String())
	}
	return d, nil
}

func describeCSR(der []byte) (Description, error) {
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return Description{}, err
	}
	return Description{
		Kind: "request", Subject: r.Subject.String(), Names: namesIn(r.DNSNames, r.IPAddresses, r.URIs, r.EmailAddresses),
		Key: keyName(r.RawSubjectPublicKeyInfo, r.PublicKey), AlternativeKey: alternativeName(r.Extensions),
		Signature: signatureName(r.Raw, r.SignatureAlgorithm, r.Extensions), Fingerprint: fmt.Sprintf("%x", sha256.Sum256(der)),
	}, nil
}

func describeCRL(der []byte) (Description, error) {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return Description{}, err
	}
	d := Description{
		Kind: "crl", Issuer: l.Issuer.String(), IssuerKeyID: fmt.Sprintf("%x", l.AuthorityKeyId), ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate,
		Signature: signatureName(l.Raw, l.SignatureAlgorithm, l.Extensions), Fingerprint: fmt.Sprintf("%x", sha256.Sum256(der)),
	}
	if l.Number != nil {
		d.Number = l.Number.String()
	}
	for _, e := range l.RevokedCertificateEntries {
		d.Revoked = append(d.Revoked, Status{Serial: hexadecimal(e.SerialNumber), Status: "revoked", At: e.RevocationTime, Reason: e.ReasonCode})
	}
	return d, nil
}

// hexadecimal writes both digits of each octet.
func hexadecimal(n *big.Int) string {
	if n.Sign() < 0 {
		return "-" + hexadecimal(new(big.Int).Neg(n))
	}
	return fmt.Sprintf("%x", append([]byte{}, n.Bytes()...))
}

func namesIn(dns []string, ips []net.IP, uris []*url.URL, mail []string) []string {
	var all []string
	for _, s := range dns {
		all = append(all, "DNS:"+s)
	}
	for _, ip := range ips {
		all = append(all, "IP:"+ip.String())
	}
	for _, u := range uris {
		all = append(all, "URI:"+u.String())
	}
	for _, s := range mail {
		all = append(all, "email:"+s)
	}
	return all
}

// keyName names the algorithm of a public key, as it says.
func keyName(spki []byte, classical crypto.PublicKey) string {
	if k, err := pqc.ParsePKIXPublicKey(spki); err == nil {
		return k.Algorithm().String()
	}
	switch k := classical.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return "RSA " + strconv.Itoa(k.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	var info struct {
		Algorithm stdpkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		return "unknown"
	}
	return oidName(info.Algorithm.Algorithm)
}

func alternativeName(extensions []stdpkix.Extension) string {
	for _, e := range extensions {
		if e.Id.Equal(subjectAltPublicKeyInfo) {
			return keyName(e.Value, nil)
		}
	}
	return ""
}

var usageNames = []string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly"}

func usages(u x509.KeyUsage) []string {
	var all []string
	for bit, name := range usageNames {
		if u>>bit&1 == 1 {
			all = append(all, name)
		}
	}
	return all
}
