package ca_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
)

var (
	sanID       = asn1.ObjectIdentifier{2, 5, 29, 17}
	featureID   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	usageID     = asn1.ObjectIdentifier{2, 5, 29, 15}
	extUsageID  = asn1.ObjectIdentifier{2, 5, 29, 37}
	mustStaple  = []byte{0x30, 3, 2, 1, 5}
	serverAuth  = []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1}
	codeSigning = []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3}
)

// sanOf is a subject alternative name with api.example.com and one more name.
func sanOf(form uint8, value ...byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte("api.example.com")) })
		tag := cbasn1.Tag(form).ContextSpecific()
		if form == 0 || form == 4 {
			tag = tag.Constructed()
		}
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(value) })
	})
	return b.BytesOrPanic()
}

// TestWishesAreGrantedOrRefused: nothing that a request asks for is left out of the
// certificate without a word.
func TestWishesAreGrantedOrRefused(t *testing.T) {
	key := newECDSA(t, elliptic.P256())
	for what, c := range map[string]struct {
		id      asn1.ObjectIdentifier
		value   []byte
		because string // "" for a wish that is granted
	}{
		"a user principal name":    {sanID, sanOf(0, 6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2, 3, 0xa0, 3, 0x0c, 1, 'u'), "user principal name"},
		"an e-mail address":        {sanID, sanOf(1, 'a', '@', 'b'), "e-mail address"},
		"a directory name":         {sanID, sanOf(4, 0x30, 0), "directory name"},
		"a registered ID":          {sanID, sanOf(8, 0x2a, 3), "registered ID"},
		"must-staple":              {featureID, mustStaple, ""},
		"another TLS feature":      {featureID, []byte{0x30, 3, 2, 1, 17}, "TLS features"},
		"two TLS features":         {featureID, []byte{0x30, 6, 2, 1, 5, 2, 1, 17}, "TLS features"},
		"a comment":                {commentID, []byte{0x16, 2, 'h', 'i'}, "extension 2.16.840.1.113730.1.13"},
		"a certificate policy":     {asn1.ObjectIdentifier{2, 5, 29, 32}, []byte{0x30, 5, 0x30, 3, 6, 1, 0x2a}, "extension 2.5.29.32"},
		"a template of Windows":    {asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2}, []byte{0x1e, 0}, "extension 1.3.6.1.4.1.311.20.2"},
		"usages of TLS":            {usageID, []byte{3, 2, 5, 0xa0}, ""},
		"to sign certificates":     {usageID, []byte{3, 2, 2, 0x84}, "key usage of a CA"},
		"only to encipher keys":    {usageID, []byte{3, 2, 5, 0x20}, "without digitalSignature"},
		"a key usage that is none": {usageID, []byte{5, 0}, "malformed"},
		"for servers":              {extUsageID, serverAuth, ""},
		"to sign code":             {extUsageID, codeSigning, "extended key usage 1.3.6.1.5.5.7.3.3"},
		"a key identifier":         {asn1.ObjectIdentifier{2, 5, 29, 14}, []byte{4, 2, 1, 2}, ""},
		"names cut off":            {sanID, []byte{0x30, 4, 0x82, 9, 'a', 'b'}, "certificate request"},
	} {
		_, err := ca.ParseCSR(csrDER(t, key, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: c.id, Value: c.value}}}))
		if c.because == "" && err != nil {
			t.Errorf("%s: %v", what, err)
		} else if c.because != "" {
			refused(t, what, err, agents.ErrInvalid, c.because)
		}
	}
	twoCNs := pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "a.example"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "b.example"}}}
	_, err := ca.ParseCSR(csrDER(t, key, &x509.CertificateRequest{Subject: twoCNs}))
	refused(t, "two common names", err, agents.ErrInvalid, "2 common names")
}

// TestRefusedNamesSayWhatToDo: crypto/x509 refuses these requests before anything of ours
// reads them, and does not say how to mend them.
func TestRefusedNamesSayWhatToDo(t *testing.T) {
	key := newECDSA(t, elliptic.P256())
	for what, c := range map[string]struct {
		form    uint8
		value   string
		because string
	}{
		"a name in UTF-8":            {2, "bücher.example.com", "write it as xn--bcher-kva.example.com"},
		"a name in Latin-1":          {2, "b\xfccher.example.com", "invalid DNS name"},
		"an e-mail address in UTF-8": {1, "bücher@example.com", "e-mail address, and agents have DNS names"},
		"an address of five octets":  {7, "\x0a\x00\x00\x01\x02", "IP address of 5 octets"},
		"an address with a network":  {7, "\x0a\x00\x00\x01\xff\x00\x00\x00", "IP address of 8 octets"},
	} {
		_, err := ca.ParseCSR(csrDER(t, key, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: sanID, Value: sanOf(c.form, []byte(c.value)...)}}}))
		refused(t, what, err, agents.ErrInvalid, c.because)
	}
	twice := []pkix.Extension{{Id: sanID, Value: sanOf(2, 'a', '.', 'b')}, {Id: sanID, Value: sanOf(2, 'c', '.', 'd')}}
	_, err := ca.ParseCSR(csrDER(t, key, &x509.CertificateRequest{ExtraExtensions: twice}))
	refused(t, "two lists of names", err, agents.ErrInvalid, "asks for the extension 2.5.29.17 twice")
}

// TestMustStapleIsGranted: the certificate has the feature if it was asked for.
func TestMustStapleIsGranted(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{})
	for _, wanted := range []bool{true, false} {
		template := &x509.CertificateRequest{}
		if wanted {
			template = extension(featureID, mustStaple...)
		}
		issued, err := w.Issue(t.Context(), catest.Ask("api", csr(t, newECDSA(t, elliptic.P256()), template)))
		if err != nil {
			t.Fatal(err)
		}
		has := false
		for _, e := range parse(t, issued.DER).Extensions {
			has = has || e.Id.Equal(featureID) && bytes.Equal(e.Value, mustStaple) && !e.Critical
		}
		if has != wanted {
			t.Errorf("asked for: %t, granted: %t", wanted, has)
		}
	}
}

// TestMicrosoftExtensionRequest: Windows asks under an object identifier of its own.
func TestMicrosoftExtensionRequest(t *testing.T) {
	key := newECDSA(t, elliptic.P256())
	standard, theirs := []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"), []byte("\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0e")
	r, err := x509.ParseCertificateRequest(csrDER(t, key, &x509.CertificateRequest{DNSNames: []string{"API.example.com"}}))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(r.RawTBSCertificateRequest, standard) {
		t.Fatal("crypto/x509 asks in another way")
	}
	got, err := ca.ParseCSR(signInfo(t, key, microsoft(t, r.RawTBSCertificateRequest, standard, theirs)))
	if err != nil || len(got.Names) != 1 || got.Names[0].Value != "api.example.com" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestExactCertificate: a certificate that was ordered has the names of the order and no
// other, besides the SPIFFE ID. Its common name is one of them, or absent.
func TestExactCertificate(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 60) + ".example.com"
	w.Add("api", agents.Change{DNS: []string{"api.example.com", long}})
	for _, c := range []struct{ name, cn string }{{"api.example.com", "api.example.com"}, {long, ""}, {"api.example.internal", "api.example.internal"}} {
		r := catest.Ask("api", csr(t, newECDSA(t, elliptic.P256()), &x509.CertificateRequest{DNSNames: []string{c.name}}))
		r.Exact, r.CommonName = true, c.cn
		issued, err := w.Issue(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		cert := parse(t, issued.DER)
		if len(cert.DNSNames) != 1 || cert.DNSNames[0] != c.name || cert.Subject.CommonName != c.cn || len(cert.URIs) != 1 {
			t.Errorf("%s: got %v %v of %q", c.name, cert.DNSNames, cert.URIs, cert.Subject)
		}
		for _, e := range cert.Extensions {
			if e.Id.Equal(sanID) && e.Critical != (c.cn == "") {
				t.Errorf("%s: names are critical: %t (RFC 5280, section 4.2.1.6)", c.name, e.Critical)
			}
		}
		if host := c.name == "api.example.internal"; issued.HostName != host {
			t.Errorf("%s: on record with the host name: %t", c.name, issued.HostName)
		}
	}
}

// microsoft replaces the object identifier of the one attribute, which is longer.
func microsoft(t *testing.T, info, old, oid []byte) []byte {
	t.Helper()
	in := cryptobyte.String(info)
	var body, version, subject, key, attributes, attribute, skipped cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1Element(&version, cbasn1.INTEGER) || !body.ReadASN1Element(&subject, cbasn1.SEQUENCE) ||
		!body.ReadASN1Element(&key, cbasn1.SEQUENCE) || !body.ReadASN1(&attributes, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!attributes.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1Element(&skipped, cbasn1.OBJECT_IDENTIFIER) || !bytes.Equal(skipped, old) {
		t.Fatal("not a request with one attribute")
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(version)
		b.AddBytes(subject)
		b.AddBytes(key)
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(oid)
				b.AddBytes(attribute)
			})
		})
	})
	return b.BytesOrPanic()
}
