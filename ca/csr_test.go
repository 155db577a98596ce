package ca_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
)

var (
	basicConstraintsID = asn1.ObjectIdentifier{2, 5, 29, 19}
	commentID          = asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 1, 13}
)

func extension(id asn1.ObjectIdentifier, value ...byte) *x509.CertificateRequest {
	return &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: id, Value: value}}}
}

func names(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("n%d.example.com", i))
	}
	return list
}

// badRequest is a DER request and a word of why it is refused.
type badRequest struct {
	der     []byte
	because string
}

func badRequests(t testing.TB) map[string]badRequest {
	t.Helper()
	key := newECDSA(t, elliptic.P256())
	good := csrDER(t, key, nil)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	otherKey := bytes.Clone(good)
	copy(otherKey[bytes.Index(otherKey, point(t, key)):], point(t, newECDSA(t, elliptic.P256())))
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]badRequest{
		"nothing":               {nil, "certificate request"},
		"junk":                  {[]byte("junk"), "certificate request"},
		"cut off":               {good[:len(good)-1], "certificate request"},
		"trailing octets":       {append(bytes.Clone(good), 0), "trailing data"},
		"twice":                 {append(bytes.Clone(good), good...), "trailing data"},
		"a certificate":         {newWorld(t).root.Raw, "certificate request"},
		"too large":             {csrDER(t, key, extension(commentID, make([]byte, ca.MaxCSR)...)), "want at most 16384"},
		"signature flipped":     {flipped, "signature is wrong"},
		"another key inside":    {otherKey, ""},
		"SHA-1":                 {csrDER(t, key, &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA1}), "signature algorithm ECDSA-SHA1"},
		"SHA-1 with RSA":        {csrDER(t, rsaKey(), &x509.CertificateRequest{SignatureAlgorithm: x509.SHA1WithRSA}), "signature algorithm SHA1-RSA"},
		"P-224":                 {csrDER(t, newECDSA(t, elliptic.P224()), nil), "want the curve"},
		"RSA of 1024 bits":      {csrDER(t, weak, nil), "RSA has 1024 bits"},
		"an e-mail address":     {csrDER(t, key, &x509.CertificateRequest{EmailAddresses: []string{"root@example.com"}}), "e-mail"},
		"too many names":        {csrDER(t, key, &x509.CertificateRequest{DNSNames: names(101)}), "more than 100 names"},
		"CA:TRUE":               {csrDER(t, key, extension(basicConstraintsID, 0x30, 3, 1, 1, 0xff)), "asks for a CA"},
		"CA:TRUE, pathlen:0":    {csrDER(t, key, extension(basicConstraintsID, 0x30, 6, 1, 1, 0xff, 2, 1, 0)), "asks for a CA"},
		"CA in BER":             {csrDER(t, key, extension(basicConstraintsID, 0x30, 3, 1, 1, 1)), "asks for a CA"},
		"CA and more":           {csrDER(t, key, extension(basicConstraintsID, 0x30, 0, 0x30, 3, 1, 1, 0xff)), "asks for a CA"},
		"constraints unread":    {csrDER(t, key, extension(basicConstraintsID, 0xff)), "asks for a CA"},
		"an address of 5":       {csrDER(t, key, extension(asn1.ObjectIdentifier{2, 5, 29, 17}, 0x30, 7, 0x87, 5, 1, 2, 3, 4, 5)), "certificate request"},
		"a name that is no IA5": {csrDER(t, key, extension(asn1.ObjectIdentifier{2, 5, 29, 17}, 0x30, 4, 0x82, 2, 0xc3, 0xa9)), "certificate request"},
		"a name with a dot":     {csrDER(t, key, &x509.CertificateRequest{DNSNames: []string{"api.example.com."}}), "without the dot at its end"},
		"a name with a NUL":     {csrDER(t, key, &x509.CertificateRequest{DNSNames: []string{"api.example.com\x00.evil.example"}}), "invalid DNS name"},
		"a name with an option": {csrDER(t, key, &x509.CertificateRequest{DNSNames: []string{"api.example.com,challenge"}}), "neither a DNS name"},
		"an empty name":         {csrDER(t, key, &x509.CertificateRequest{DNSNames: []string{"", "api.example.com"}}), "it is empty"},
		"a long name":           {csrDER(t, key, &x509.CertificateRequest{DNSNames: []string{strings.Repeat("x", 10_000)}}), "more than 253"},
		"an address as a name":  {csrDER(t, key, &x509.CertificateRequest{DNSNames: []string{"10.0.0.1"}}), "last label is a number"},
		"every address":         {csrDER(t, key, &x509.CertificateRequest{IPAddresses: []net.IP{{0, 0, 0, 0}}}), "invalid IP address"},
	}
}

func TestParseCSRRefuses(t *testing.T) {
	for what, bad := range badRequests(t) {
		_, err := ca.ParseCSR(bad.der)
		refused(t, what, err, agents.ErrInvalid, bad.because)
		_, err = ca.ParseCSRPEM([]byte(pemOf("CERTIFICATE REQUEST", bad.der)))
		refused(t, what+" in PEM", err, agents.ErrInvalid, bad.because)
	}
}

func TestParseCSRAccepts(t *testing.T) {
	key := newECDSA(t, elliptic.P256())
	for what, der := range map[string][]byte{
		"P-256": csrDER(t, key, nil), "P-384 with SHA-512": csrDER(t, newECDSA(t, elliptic.P384()), &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA512}),
		"Ed25519": csrDER(t, newEd25519(t), nil), "RSA": csrDER(t, rsaKey(), nil), "RSA-PSS": csrDER(t, rsaKey(), &x509.CertificateRequest{SignatureAlgorithm: x509.SHA256WithRSAPSS}),
		"CA:FALSE":        csrDER(t, key, extension(basicConstraintsID, 0x30, 0)),
		"a hundred names": csrDER(t, key, &x509.CertificateRequest{DNSNames: names(100)}),
	} {
		if _, err := ca.ParseCSR(der); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	spiffe, _ := url.Parse("spiffe://example.internal/agent/api")
	got := csr(t, key, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "api"}, DNSNames: []string{"api.example.com"}, IPAddresses: []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("2001:db8::1")}, URIs: []*url.URL{spiffe},
	})
	spki, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	wantNames := []agents.Identifier{{Type: "dns", Value: "api.example.com"}, {Type: "ip", Value: "10.0.0.1"}, {Type: "ip", Value: "2001:db8::1"}}
	if got.CN != "api" || !slices.Equal(got.Names, wantNames) || !slices.Equal(got.URIs, []string{spiffe.String()}) || !bytes.Equal(got.PublicKey, spki) {
		t.Errorf("got %+v", got)
	}
}

func TestParseCSRPEM(t *testing.T) {
	der := csrDER(t, newECDSA(t, elliptic.P256()), nil)
	good := pemOf("CERTIFICATE REQUEST", der)
	for what, text := range map[string]string{
		"as openssl writes it": good, "of old tools": pemOf("NEW CERTIFICATE REQUEST", der), "with text before it": "Certificate Request:\n    Data:\n" + good, "with text after it": good + "junk", "with a byte order mark": "\ufeff" + good, "with line ends of Windows": strings.ReplaceAll(good, "\n", "\r\n") + "\r\n",
	} {
		if _, err := ca.ParseCSRPEM([]byte(text)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, text := range map[string]string{
		"nothing": "", "junk": "junk", "DER": string(der), "a certificate": pemOf("CERTIFICATE", der), "a private key": pemOf("PRIVATE KEY", der), "two": good + good,
		"cut off": good[:len(good)-10], "an empty block": pemOf("CERTIFICATE REQUEST", nil), "an end only": good[len(good)/2:],
	} {
		_, err := ca.ParseCSRPEM([]byte(text))
		refused(t, what, err, agents.ErrInvalid, "certificate request")
	}
}

// FuzzParseCSR: what is accepted proves possession of a good key, and says the
// same when it comes in PEM.
func FuzzParseCSR(f *testing.F) {
	for _, bad := range badRequests(f) {
		f.Add(bad.der)
	}
	spiffe, _ := url.Parse("spiffe://example.internal/agent/api")
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "api"}, DNSNames: []string{"a.b"}, IPAddresses: []net.IP{{10, 0, 0, 1}}, URIs: []*url.URL{spiffe}}
	f.Add(csrDER(f, newECDSA(f, elliptic.P256()), template))
	f.Add(csrDER(f, newEd25519(f), template))
	f.Add(csrDER(f, rsaKey(), template))
	f.Fuzz(func(t *testing.T, der []byte) {
		got, err := ca.ParseCSR(der)
		if err != nil {
			return
		}
		again, err := ca.ParseCSRPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("in DER %+v, in PEM %+v, %v", got, again, err)
		}
		public, err := x509.ParsePKIXPublicKey(got.PublicKey)
		if err != nil || agents.CheckKey(public) != nil {
			t.Errorf("it was accepted with the key %T: %v", public, err)
		}
		if r, err := x509.ParseCertificateRequest(der); err != nil || r.CheckSignature() != nil || len(r.EmailAddresses) > 0 || len(r.DNSNames)+len(r.IPAddresses) != len(got.Names) {
			t.Errorf("crypto/x509 reads %+v, %v", r, err)
		}
	})
}

// point returns the x and y of a public key, as they stand in encodings of it.
func point(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	b, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b[1:]
}
