package ca_test

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// FuzzNames: whatever names a request asks for, however they are written, a
// certificate has no other than those that the registry gives the agent.
func FuzzNames(f *testing.F) {
	w := newWorld(f)
	w.Add("api", agents.Change{DNS: []string{"api.example.com", "*.apps.example.com", "hard.example.com,challenge"}, IPs: []string{"10.0.0.1", "2001:db8::1"}})
	key := newECDSA(f, elliptic.P256())
	for _, dns := range []string{
		"api.example.com", "*.apps.example.com", "API.example.com", "api.example.com.", "api.example.com\x00.evil.example", "аpi.example.com", "ａpi.example.com",
		"hard.example.com", "*.example.internal", "*", ".", "", "xn--pi-6kc.example.com", "api.example.com:443", " api.example.com", "10.0.0.1", "apı.example.com",
	} {
		f.Add(uint8(2), []byte(dns), "")
	}
	for _, ip := range [][]byte{{10, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 0}, {10, 0, 0, 1, 255, 255, 255, 0}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1}, {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, {}} {
		f.Add(uint8(7), ip, "")
	}
	for _, uri := range []string{
		"spiffe://example.internal/agent/api", "SPIFFE://example.internal/agent/api", "spiffe://example.internal/agent/api/", "spiffe://example.internal/agent/%61pi", "spiffe://example.internal/agent/api?",
		"spiffe://example.internal/agent/api#x", "spiffe://x@example.internal/agent/api", "spiffe://example.internal:1/agent/api", "spiffe://EXAMPLE.internal/agent/api", "spiffe:/agent/api", "urn:x",
	} {
		f.Add(uint8(6), []byte(uri), "")
	}
	f.Add(uint8(1), []byte("a@example.com"), "api")             // an e-mail address
	f.Add(uint8(0), []byte("\x06\x01\x2a"), "api")              // another name
	f.Add(uint8(4), []byte("\x30\x00"), "api.example.internal") // a directory name
	f.Add(uint8(8), []byte("\x2a\x03"), "API")                  // a registered ID
	f.Add(uint8(2), []byte("api.example.com"), "api.example.com")
	f.Add(uint8(2), []byte("api.example.com"), "Example Root CA\x00")
	given := map[string][]string{
		"dns": {"api.example.internal", "api.example.com", "*.apps.example.com"},
		"ip":  {"10.0.0.1", "2001:db8::1"},
		"uri": {"spiffe://example.internal/agent/api"},
	}
	f.Fuzz(func(t *testing.T, tag uint8, name []byte, cn string) {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(tag%31).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(name) })
		})
		san, err := b.Bytes()
		if err != nil {
			t.Skip("cryptobyte writes no such name")
		}
		der, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{
			Subject:         pkix.Name{CommonName: cn},
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}},
		}, key)
		if err != nil {
			t.Skip("encoding/asn1 writes no such common name")
		}
		request, err := ca.ParseCSR(der)
		if err != nil {
			return
		}
		w.t, w.T = t, t
		before, _ := w.last()
		issued, err := w.Issue(context.Background(), catest.Ask("api", request))
		if after, e := w.last(); after != before+1 || (e.Decision == audit.Allow) != (err == nil) {
			t.Errorf("%d events are recorded, the last is %+v, with %v", after-before, e, err)
		}
		if err != nil {
			if !policy.IsDenial(err) || len(err.Error()) > 500 {
				t.Errorf("tag %d, %q, %q: %v", tag, name, cn, err)
			}
			return
		}
		c := parse(t, issued.DER)
		got := map[string][]string{"dns": c.DNSNames}
		for _, ip := range c.IPAddresses {
			got["ip"] = append(got["ip"], ip.String())
		}
		for _, u := range c.URIs {
			got["uri"] = append(got["uri"], u.String())
		}
		for kind, names := range got {
			for _, n := range names {
				if !slices.Contains(given[kind], n) {
					t.Errorf("tag %d, %q, %q: the certificate has the %s name %q", tag, name, cn, kind, n)
				}
			}
		}
		if n := sanCount(t, c); n != len(c.DNSNames)+len(c.IPAddresses)+len(c.URIs) {
			t.Errorf("tag %d, %q, %q: the certificate has %d names, of which crypto/x509 reads %v", tag, name, cn, n, got)
		}
		if c.Subject.CommonName != "api" || len(c.Subject.Names) != 1 || c.IsCA || c.NotAfter.Sub(w.now) > 5*time.Minute {
			t.Errorf("tag %d, %q, %q: issued to %s, CA: %t, until %s", tag, name, cn, c.Subject, c.IsCA, c.NotAfter)
		}
	})
}

// last returns how many events there are, and the last.
func (w *world) last() (size int64, last audit.Event) {
	w.t.Helper()
	w.View(func(tx storage.Tx) (err error) {
		if size, err = audit.Size(tx); err == nil && size > 0 {
			last, err = audit.Get(tx, size-1)
		}
		return err
	})
	return size, last
}

// sanCount returns how many names of any kind the certificate has.
func sanCount(t *testing.T, c *x509.Certificate) (n int) {
	t.Helper()
	for _, e := range c.Extensions {
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 {
			t.Errorf("the names cannot be read: %v", err)
		}
		n += len(names)
	}
	return n
}
