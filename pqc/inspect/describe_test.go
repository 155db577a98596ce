package inspect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/pqc"
)

// samples returns one file of each kind, in DER or text.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	_, all, _ := net.ParseCIDR("0.0.0.0/0")
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x0abc), Subject: stdpkix.Name{CommonName: "x"}, DNSNames: []string{"a.example"}, NotAfter: time.Unix(2e9, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{"example"}, ExcludedIPRanges: []*net.IPNet{all},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	issuer, err := x509.ParseCertificate(cert)
	check(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"b.example"}}, key)
	check(t, err)
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: time.Unix(1e9, 0), NextUpdate: time.Unix(2e9, 0),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(5), RevocationTime: time.Unix(1e9, 0), ReasonCode: 1}},
	}, issuer, key)
	check(t, err)
	answer, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{
		Status: ocsp.Revoked, SerialNumber: big.NewInt(6), ThisUpdate: time.Unix(1e9, 0), NextUpdate: time.Unix(2e9, 0), RevokedAt: time.Unix(1e9, 0), RevocationReason: 4,
	}, key)
	check(t, err)
	private, err := pqc.NewPrivateKey(pqc.MLDSA44Ed25519SHA512, make([]byte, 64))
	check(t, err)
	request, err := json.Marshal(map[string]any{"brevet": "root request 1", "trust_domain": "example", "root_certificate": cert, "wanted": []any{map[string]any{"csr": csr}}})
	check(t, err)
	return map[string][]byte{
		"certificate": cert, "request": csr, "crl": crl, "ocsp": answer, "root-request": request,
		"jws": []byte(signJWS(t, private, `{"alg":"ML-DSA-44-Ed25519"}`, `{"sub":"x","exp":2000000000}`)),
	}
}

// TestDescribe reads each kind, in PEM, too, and from files of Windows.
func TestDescribe(t *testing.T) {
	files := samples(t)
	for kind, file := range files {
		all, err := Describe(file)
		if err != nil || all[0].Kind != kind || all[0].Verified {
			t.Fatalf("%s: got %+v, %v", kind, all, err)
		}
		d := all[0]
		good := map[string]bool{
			"certificate":  d.Serial == "0abc" && d.CA && d.Key == "ECDSA P-256" && strings.Join(append(d.Permitted, d.Excluded...), " ") == "example 0.0.0.0/0" && d.Names[0] == "DNS:a.example",
			"request":      len(d.Names) == 1 && d.Signature == "ECDSA-SHA256",
			"crl":          d.Number == "7" && len(d.Revoked) == 1 && d.Revoked[0].Serial == "05" && d.Revoked[0].Reason == 1,
			"ocsp":         d.Response == "successful" && len(d.Answers) == 1 && d.Answers[0].Status == "revoked" && d.Answers[0].Reason == 4 && d.Signature == "ECDSA-SHA256",
			"jws":          d.Signature == "ML-DSA-44-Ed25519" && strings.Contains(string(d.Claims), `"sub":"x"`),
			"root-request": len(all) == 3 && all[1].Kind == "certificate" && all[2].Kind == "request",
		}
		if !good[kind] {
			t.Errorf("%s: got %+v", kind, d)
		}
		for name := range describers {
			block := pem.EncodeToMemory(&pem.Block{Type: name, Bytes: file})
			all, err := Describe(append([]byte("\xef\xbb\xbftext\r\n"), bytes.ReplaceAll(block, []byte("\n"), []byte("\r\n"))...))
			if err == nil && all[0].Kind != kind {
				t.Errorf("%s in a block %s is a %s", kind, name, all[0].Kind)
			}
		}
		for _, cut := range []int{0, 1, len(file) / 2} {
			if kind == "jws" && cut > 1 {
				continue // half of it may look like one with a shorter signature
			}
			if all, err := Describe(file[:cut]); err == nil {
				t.Errorf("%d octets of %s: got %+v", cut, kind, all)
			}
		}
	}
	for what, file := range map[string]string{
		"a key":          string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte{1}})),
		"another block":  string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: []byte{1}})),
		"a damaged one":  "-----BEGIN CERTIFICATE-----\nMII\n",
		"another form":   `{"brevet":"root request 9"}`,
		"trailing bytes": string(files["certificate"]) + "x",
	} {
		if all, err := Describe([]byte(file)); err == nil {
			t.Errorf("%s: got %+v", what, all)
		}
	}
}

// FuzzDescribe: what is described of DER is described of the same DER in PEM, and can be
// written as JSON.
func FuzzDescribe(f *testing.F) {
	for _, file := range samples(f) {
		f.Add(file)
	}
	blocks := map[string]string{"certificate": "CERTIFICATE", "request": "CERTIFICATE REQUEST", "crl": "X509 CRL", "ocsp": "OCSP RESPONSE"}
	f.Fuzz(func(t *testing.T, file []byte) {
		all, err := Describe(file)
		if err != nil {
			return
		}
		text, err := json.Marshal(all)
		check(t, err)
		if file[0] != 0x30 || len(all) != 1 || bytes.Contains(file, pemBegin) {
			return
		}
		again, err := Describe(pem.EncodeToMemory(&pem.Block{Type: blocks[all[0].Kind], Bytes: file}))
		check(t, err)
		if other, err := json.Marshal(again); err != nil || !bytes.Equal(text, other) {
			t.Errorf("in DER %s, in PEM %s, %v", text, other, err)
		}
	})
}
