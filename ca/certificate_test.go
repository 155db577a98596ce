package ca_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// extensions are those of an agent's certificate, in their order, and whether
// each is critical (RFC 5280, section 4.2.1).
var extensions = []struct {
	name     string
	id       asn1.ObjectIdentifier
	critical bool
}{
	{"keyUsage", asn1.ObjectIdentifier{2, 5, 29, 15}, true},
	{"extKeyUsage", asn1.ObjectIdentifier{2, 5, 29, 37}, false},
	{"subjectKeyIdentifier", asn1.ObjectIdentifier{2, 5, 29, 14}, false},
	{"subjectAltName", asn1.ObjectIdentifier{2, 5, 29, 17}, false},
	{"authorityKeyIdentifier", asn1.ObjectIdentifier{2, 5, 29, 35}, false},
	{"cRLDistributionPoints", asn1.ObjectIdentifier{2, 5, 29, 31}, false},
	{"authorityInfoAccess", asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}, false},
}

// TestCertificate reads what was issued with crypto/x509, for every kind of
// authority and of key.
func TestCertificate(t *testing.T) {
	signatures := map[keys.Algorithm]x509.SignatureAlgorithm{
		keys.ECDSAP256: x509.ECDSAWithSHA256, keys.ECDSAP384: x509.ECDSAWithSHA384, keys.Ed25519: x509.PureEd25519,
	}
	leafKeys := map[string]crypto.Signer{
		"P-256": newECDSA(t, elliptic.P256()), "P-384": newECDSA(t, elliptic.P384()), "P-521": newECDSA(t, elliptic.P521()), "Ed25519": newEd25519(t), "RSA": rsaKey(),
	}
	for algorithm, signature := range signatures {
		w := newWorld(t, func(p *catest.Plan) { p.Algorithm = algorithm })
		w.Add("api", agents.Change{DNS: []string{"api.example.com", "*.apps.example.com", "unasked.example.com"}, IPs: []string{"10.0.0.1", "2001:db8::1", "10.0.0.2"}})
		for kind, key := range leafKeys {
			t.Run(fmt.Sprintf("%s key, %s authority", kind, algorithm), func(t *testing.T) {
				w.t = t
				r := catest.Ask("api", csr(t, key, &x509.CertificateRequest{
					Subject: pkix.Name{CommonName: "api", Organization: []string{"Evil Corp"}, SerialNumber: "1"}, DNSNames: []string{"api.example.com", "*.apps.example.com", "api.example.com"},
					IPAddresses: []net.IP{net.ParseIP("2001:db8::1"), net.ParseIP("10.0.0.1")},
				}))
				issued, err := w.Issue(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				cert := parse(t, issued.DER)
				if err := w.verify(cert, "api.example.com"); err != nil {
					t.Error(err)
				}
				if cert.SignatureAlgorithm != signature || cert.Version != 3 {
					t.Errorf("version %d, signed with %s, want %s", cert.Version, cert.SignatureAlgorithm, signature)
				}
				checkNames(t, cert)
				checkValidity(t, w, cert)
				checkSerial(t, issued, cert)
				checkExtensions(t, w, cert)
				checkKeyIDs(t, w, cert, key)
			})
		}
	}
}

// checkNames: the agent's name, ID and host, and those of its registered names
// that the request asked for, once each. Nothing else of the request.
func checkNames(t *testing.T, cert *x509.Certificate) {
	t.Helper()
	if got, want := cert.Subject.ToRDNSequence().String(), "CN=api"; got != want {
		t.Errorf("subject %q, want %q", got, want)
	}
	uri, _ := url.Parse("spiffe://example.internal/agent/api")
	if len(cert.URIs) != 1 || *cert.URIs[0] != *uri {
		t.Errorf("URIs %v, want %s", cert.URIs, uri)
	}
	if want := []string{"api.example.internal", "api.example.com", "*.apps.example.com"}; !slices.Equal(cert.DNSNames, want) {
		t.Errorf("DNS names %q, want %q", cert.DNSNames, want)
	}
	var ips []string
	for _, ip := range cert.IPAddresses {
		ips = append(ips, fmt.Sprintf("%s in %d octets", ip, len(ip)))
	}
	if want := []string{"2001:db8::1 in 16 octets", "10.0.0.1 in 4 octets"}; !slices.Equal(ips, want) {
		t.Errorf("addresses %q, want %q", ips, want)
	}
	if cert.EmailAddresses != nil {
		t.Errorf("e-mail addresses %q", cert.EmailAddresses)
	}
}

// checkValidity: five minutes from now on, and 30 s backwards besides.
func checkValidity(t *testing.T, w *world, cert *x509.Certificate) {
	t.Helper()
	if want := w.now.Add(-30 * time.Second).Truncate(time.Second); !cert.NotBefore.Equal(want) {
		t.Errorf("not before %s, want %s", cert.NotBefore, want)
	}
	if want := w.now.Add(5 * time.Minute).Truncate(time.Second); !cert.NotAfter.Equal(want) {
		t.Errorf("not after %s, want %s", cert.NotAfter, want)
	}
}

// checkSerial: a positive INTEGER of 20 octets, which is the record's ID.
func checkSerial(t *testing.T, issued *ca.Issued, cert *x509.Certificate) {
	t.Helper()
	raw, err := asn1.Marshal(cert.SerialNumber)
	if err != nil {
		t.Fatal(err)
	}
	if cert.SerialNumber.Sign() != 1 || len(raw) != 2+20 || !bytes.Equal(raw[2:], issued.ID[:]) {
		t.Errorf("serial number %x, want %s", raw, issued.ID)
	}
}

func checkExtensions(t *testing.T, w *world, cert *x509.Certificate) {
	t.Helper()
	for i, e := range cert.Extensions {
		if i >= len(extensions) || !e.Id.Equal(extensions[i].id) || e.Critical != extensions[i].critical {
			t.Errorf("extension %d is %s, critical %t", i, e.Id, e.Critical)
		}
	}
	if len(cert.Extensions) != len(extensions) {
		t.Errorf("%d extensions, want %d", len(cert.Extensions), len(extensions))
	}
	if cert.KeyUsage != x509.KeyUsageDigitalSignature || cert.IsCA || cert.BasicConstraintsValid {
		t.Errorf("keyUsage %b, CA %t, want only digitalSignature", cert.KeyUsage, cert.IsCA)
	}
	if want := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}; !slices.Equal(cert.ExtKeyUsage, want) || cert.UnknownExtKeyUsage != nil {
		t.Errorf("extKeyUsage %v and %v, want %v", cert.ExtKeyUsage, cert.UnknownExtKeyUsage, want)
	}
	id := hex.EncodeToString(w.issuer.SubjectKeyId)
	if want := []string{baseURL + "/crl/" + id + ".crl"}; !slices.Equal(cert.CRLDistributionPoints, want) {
		t.Errorf("CRL at %q, want %q", cert.CRLDistributionPoints, want)
	}
	if want := []string{baseURL + "/issuer/" + id + ".cer"}; !slices.Equal(cert.IssuingCertificateURL, want) {
		t.Errorf("issuer at %q, want %q", cert.IssuingCertificateURL, want)
	}
	if want := []string{baseURL + "/ocsp"}; !slices.Equal(cert.OCSPServer, want) {
		t.Errorf("OCSP at %q, want %q", cert.OCSPServer, want)
	}
}

// checkKeyIDs: the subject's by RFC 7093, section 2, method 1; the authority's
// is the issuer's own.
func checkKeyIDs(t *testing.T, w *world, cert *x509.Certificate, key crypto.Signer) {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil || !bytes.Equal(cert.RawSubjectPublicKeyInfo, spki) {
		t.Errorf("the certificate is for another key: %v", err)
	}
	var public struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &public); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(public.Key.Bytes); !bytes.Equal(cert.SubjectKeyId, sum[:20]) {
		t.Errorf("subject key identifier %x, want %x", cert.SubjectKeyId, sum[:20])
	}
	if !bytes.Equal(cert.AuthorityKeyId, w.issuer.SubjectKeyId) || !bytes.Equal(cert.RawIssuer, w.issuer.RawSubject) {
		t.Errorf("it names issuer %x, want %x", cert.AuthorityKeyId, w.issuer.SubjectKeyId)
	}
}

// TestCertificatesOfTheAuthority reads the root and the issuing CA.
func TestCertificatesOfTheAuthority(t *testing.T) {
	for _, algorithm := range keys.Algorithms() {
		w := newWorld(t, func(p *catest.Plan) { p.Algorithm = algorithm })
		for what, c := range map[string]struct {
			cert, above *x509.Certificate
			pathLen     int
			usage       x509.KeyUsage
			cn          string
			lifetime    time.Duration
		}{
			"root":    {w.root, w.root, 1, x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature, "Example Root CA", 10 * 365 * 24 * time.Hour},
			"issuing": {w.issuer, w.root, 0, x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature, fmt.Sprintf("Example Issuing CA %x", w.issuer.SubjectKeyId[:4]), 90 * 24 * time.Hour},
		} {
			if err := c.cert.CheckSignatureFrom(c.above); err != nil {
				t.Errorf("%s %s: %v", algorithm, what, err)
			}
			if !c.cert.IsCA || !c.cert.BasicConstraintsValid || c.cert.MaxPathLen != c.pathLen || c.cert.KeyUsage != c.usage || c.cert.ExtKeyUsage != nil {
				t.Errorf("%s %s: CA %t, path length %d, key usage %b", algorithm, what, c.cert.IsCA, c.cert.MaxPathLen, c.cert.KeyUsage)
			}
			if got := c.cert.Subject.ToRDNSequence().String(); got != "CN="+c.cn {
				t.Errorf("%s %s: subject %q", algorithm, what, got)
			}
			if n := c.cert.SerialNumber; n.Sign() != 1 || n.BitLen() != 127 {
				t.Errorf("%s %s: serial number %x", algorithm, what, n)
			}
			if c.cert != w.root {
				base, root := catest.BaseURL, hex.EncodeToString(w.root.SubjectKeyId)
				if !slices.Equal(c.cert.CRLDistributionPoints, []string{base + ca.CRLPath(root)}) || !slices.Equal(c.cert.OCSPServer, []string{base + ca.OCSPPath}) ||
					!slices.Equal(c.cert.IssuingCertificateURL, []string{base + ca.CertificatePath(root)}) {
					t.Errorf("%s %s: CRL at %s, OCSP at %s, root at %s", algorithm, what, c.cert.CRLDistributionPoints, c.cert.OCSPServer, c.cert.IssuingCertificateURL)
				}
			}
			if want := start.Add(c.lifetime).Truncate(time.Second); !c.cert.NotAfter.Equal(want) || !c.cert.NotBefore.Equal(start.Add(-time.Hour).Truncate(time.Second)) {
				t.Errorf("%s %s: valid from %s to %s", algorithm, what, c.cert.NotBefore, c.cert.NotAfter)
			}
			for _, e := range c.cert.Extensions {
				if wantCritical := e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 15}) || e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 19}); e.Critical != wantCritical {
					t.Errorf("%s %s: extension %s critical: %t", algorithm, what, e.Id, e.Critical)
				}
			}
		}
		if !bytes.Equal(w.issuer.AuthorityKeyId, w.root.SubjectKeyId) {
			t.Errorf("%s: the issuer names the root %x", algorithm, w.issuer.AuthorityKeyId)
		}
	}
}

// TestIssuerDoesNotOutliveItsRoot, and after 2049 dates are written in another
// way (RFC 5280, section 4.1.2.5).
func TestIssuerDoesNotOutliveItsRoot(t *testing.T) {
	w := newWorld(t)
	key, signer := w.Generate(keys.Root, keys.Ed25519)
	root := must(ca.NewRoot("Long", signer, 40*365*24*time.Hour, w.now, ca.Constraints{}))(t)
	if parsed := parse(t, root.Certificate); parsed.NotAfter.Year() != 2066 || !parsed.NotAfter.Equal(root.NotAfter) {
		t.Errorf("the root ends at %s, want %s", parsed.NotAfter, root.NotAfter)
	}
	above := must(ca.RootIssuer(root, signer, catest.BaseURL))(t)
	issuing := must(ca.NewIssuing("Long", key, above, 50*365*24*time.Hour, w.now))(t)
	if !issuing.NotAfter.Equal(root.NotAfter) || !parse(t, issuing.Certificate).NotAfter.Equal(root.NotAfter) {
		t.Errorf("the issuer ends at %s, its root at %s", issuing.NotAfter, root.NotAfter)
	}
}

// TestRecordOfACertificate: what is kept tells all that was issued but the
// certificate itself.
func TestRecordOfACertificate(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{DNS: []string{"api.example.com"}, IPs: []string{"10.0.0.1"}})
	request := csr(t, newECDSA(t, elliptic.P256()), &x509.CertificateRequest{DNSNames: []string{"api.example.com"}, IPAddresses: []net.IP{{10, 0, 0, 1}}})
	issued := must(w.Issue(audit.WithSource(t.Context(), audit.Source{Request: "0123456789abcdef"}), catest.Ask("api", request)))(t)
	want := ca.Certificate{
		Credential: agents.Credential{ID: issued.ID, Agent: "api", Issuer: hex.EncodeToString(w.issuer.SubjectKeyId), IssuedAt: w.now},
		NotBefore:  w.now.Add(-30 * time.Second).Truncate(time.Second), Fingerprint: sha256.Sum256(issued.DER),
		KeyHash: sha256.Sum256(request.PublicKey), Profile: "default", Names: []agents.Identifier{{Type: "dns", Value: "api.example.com"}, {Type: "ip", Value: "10.0.0.1"}},
		HostName: true,
	}
	got := w.Certificates()
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) || !reflect.DeepEqual(issued.Certificate, want) {
		t.Errorf("got\n%+v, handed out\n%+v, want\n%+v", got, issued.Certificate, want)
	}
	w.View(func(tx storage.Tx) error {
		if c, err := ca.Get(tx, issued.ID); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("by serial number: %+v, %v", c, err)
		}
		if c, err := agents.GetCurrent(tx, "api"); err != nil || c.Credential != want.Credential || string(c.Key) != string(request.PublicKey) {
			t.Errorf("the current certificate: %+v, %v", c, err)
		}
		return nil
	})
	events := w.Events()
	if len(events) != 1 || events[0].Decision != "allow" || events[0].Action != "certificate.issue" || events[0].Subject != "api" ||
		events[0].Credential != issued.ID.String() || events[0].Request != "0123456789abcdef" || !slices.Equal(events[0].Reasons, []string{"a test"}) {
		t.Errorf("events %+v", events)
	}
}

func FuzzCertificateRecord(f *testing.F) {
	id := must(agents.NewCredentialID(start))(f)
	for _, c := range []ca.Certificate{
		{},
		{Credential: agents.Credential{ID: id, Agent: "api", Issuer: "00ff", IssuedAt: start}, NotBefore: start, Profile: "default"},
		{Credential: agents.Credential{ID: id, Agent: "api"}, Names: []agents.Identifier{{Type: "dns", Value: "api.example.com"}, {Type: "ip", Value: "10.0.0.1"}}},
	} {
		b := must(c.MarshalBinary())(f)
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, 0))
	}
	f.Add([]byte{})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c ca.Certificate
		if err := c.UnmarshalBinary(b); err != nil {
			return
		}
		again, err := c.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x was read and is written %x, %v", b, again, err)
		}
	})
}

func TestCertificateRecordIsReadWhole(t *testing.T) {
	c := ca.Certificate{Credential: agents.Credential{Agent: "api", Issuer: "00ff", IssuedAt: start}, NotBefore: start.Truncate(time.Second), Profile: "default", Names: []agents.Identifier{{Type: "dns", Value: "a"}}}
	whole := must(c.MarshalBinary())(t)
	withoutNames := len(whole) - (2 + 3 + 2 + 1)
	for n := range whole {
		var got ca.Certificate
		if err := got.UnmarshalBinary(whole[:n]); (err == nil) != (n == withoutNames) {
			t.Errorf("cut off after %d octets of %d: %v", n, len(whole), err)
		}
	}
	var got ca.Certificate
	if err := got.UnmarshalBinary(whole); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v, %v", got, err)
	}
	whole[0] = 3
	refused(t, "of another version", got.UnmarshalBinary(whole), nil, "version 3")
	if _, err := (ca.Certificate{Credential: agents.Credential{Issuer: "no hex"}}).MarshalBinary(); err == nil {
		t.Error("an issuer that is no identifier was stored")
	}
}

// storedCertificate is a record as the first version stored it.
const storedCertificate = "010bad5f00ffeeddccbbaa99887766554433221100189cbdbb8f2f234c0000000069b579ea000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1ffffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e00014a1b2c3d4e5f60718293a4b5c6d7e8f900112233400096275696c642d626f74000764656661756c740003646e73000b6170692e6578616d706c650002697000093139322e302e322e37"

// TestStoredCertificateIsRead: a stored record is read, and written again octet by
// octet.
func TestStoredCertificateIsRead(t *testing.T) {
	stored, err := hex.DecodeString(storedCertificate)
	if err != nil {
		t.Fatal(err)
	}
	want := ca.Certificate{
		Credential: agents.Credential{Agent: "build-bot", Issuer: "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334", IssuedAt: time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)},
		NotBefore:  time.Date(2026, 3, 14, 15, 8, 26, 0, time.UTC), Profile: "default",
		Names: []agents.Identifier{{Type: "dns", Value: "api.example"}, {Type: "ip", Value: "192.0.2.7"}}, HostName: true,
	}
	if want.ID, err = agents.ParseCredentialID("0bad5f00ffeeddccbbaa99887766554433221100"); err != nil {
		t.Fatal(err)
	}
	for i := range want.Fingerprint {
		want.Fingerprint[i], want.KeyHash[i] = byte(i), 0xff-byte(i)
	}
	var got ca.Certificate
	if err := got.UnmarshalBinary(stored); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if again, err := want.MarshalBinary(); err != nil || !bytes.Equal(again, stored) {
		t.Errorf("written as %x, %v, want %x", again, err, stored)
	}
}
