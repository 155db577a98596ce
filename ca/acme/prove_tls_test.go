package acme

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"
)

func TestDNS01(t *testing.T) {
	a := newTarget(t)
	digest, err := a.client.DNS01ChallengeRecord(testToken)
	if err != nil {
		t.Fatal(err)
	}
	a.zone.add(t, "_acme-challenge.a.example. 0 TXT old", "_acme-challenge.a.example. 0 TXT "+digest,
		"_acme-challenge.b.example. 0 CNAME _acme-challenge.a.example.", "_acme-challenge.split.example. 0 TXT "+digest[:20]+" "+digest[20:],
		"_acme-challenge.wrong.example. 0 TXT wrong", "_acme-challenge.near.example. 0 TXT "+digest+"x", "_acme-challenge.none.example. 0 A 127.0.0.1")
	for _, value := range []string{"a.example", "b.example", "split.example"} {
		a.want("dns-01", value, "", "")
	}
	a.want("dns-01", "wrong.example", "unauthorized", "no TXT record of _acme-challenge.wrong.example")
	a.want("dns-01", "near.example", "unauthorized", "no TXT record of _acme-challenge.near.example")
	a.want("dns-01", "none.example", "dns", "looking up _acme-challenge.none.example.")
	a.want("dns-01", "nowhere.example", "dns", "looking up _acme-challenge.nowhere.example.: no such host")
	for range maxTXT {
		a.zone.add(t, "_acme-challenge.a.example. 0 TXT more")
	}
	a.want("dns-01", "a.example", "dns", "TXT records: at most")
	a.limit = 100 * time.Millisecond
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a.config.Resolver = silent.LocalAddr().String()
	a.want("dns-01", "b.example", "dns", "looking up _acme-challenge.b.example.")
}

func TestTLSALPN01(t *testing.T) {
	for _, c := range []struct{ value, address, sni string }{
		{"a.example", "127.0.0.1", "a.example"},
		{"127.0.0.1", "127.0.0.1", "1.0.0.127.in-addr.arpa"},
		{"::1", "::1", "1." + strings.Repeat("0.", 31) + "ip6.arpa"},
	} {
		t.Run(c.value, func(t *testing.T) {
			a := newTarget(t)
			seen := a.tls(c.address, &tls.Config{Certificates: []tls.Certificate{a.certificate(c.value)}, NextProtos: []string{"h2", "acme-tls/1"}})
			a.want("tls-alpn-01", c.value, "", "")
			if got := <-seen; got != c.sni {
				t.Errorf("the server name is %q, want %q (RFC 8738, section 6)", got, c.sni)
			}
		})
	}
}

func TestTLSALPN01Failures(t *testing.T) {
	const good = "a.example"
	protocol := []string{"acme-tls/1"}
	for name, c := range map[string]struct {
		config        func(a *target) *tls.Config
		problem, text string
	}{
		"no ALPN": {func(a *target) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{a.certificate(good)}}
		}, "tls", "does not negotiate the protocol acme-tls/1"},
		"another protocol": {func(a *target) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{a.certificate(good)}, NextProtos: []string{"h2"}}
		}, "tls", "no application protocol"},
		"old TLS": {func(a *target) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{a.certificate(good)}, NextProtos: protocol, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		}, "tls", "protocol version"},
		"no certificate":     {func(*target) *tls.Config { return &tls.Config{NextProtos: protocol} }, "tls", "handshake"},
		"of another account": {func(*target) *tls.Config { return presenting(newTarget(t).certificate(good)) }, "unauthorized", "expected acmeValidationV1 extension value"},
		"of another name":    {func(a *target) *tls.Config { return presenting(a.certificate("b.example")) }, "unauthorized", "a.example"},
		"an address":         {func(a *target) *tls.Config { return presenting(a.certificate("127.0.0.1")) }, "incorrectResponse", "exactly that name"},
		"no extension":       {func(a *target) *tls.Config { return a.forged(func(c *x509.Certificate) { c.ExtraExtensions = nil }) }, "unauthorized", "missing acmeValidationV1"},
		"not critical": {func(a *target) *tls.Config {
			return a.forged(func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = false })
		}, "unauthorized", "not critical"},
		"malformed extension": {func(a *target) *tls.Config {
			return a.forged(func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte{4, 1, 0} })
		}, "unauthorized", "malformed"},
		"two names": {func(a *target) *tls.Config {
			return a.forged(func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "b.example") })
		}, "incorrectResponse", "exactly that name"},
		"a name and an address": {func(a *target) *tls.Config {
			return a.forged(func(c *x509.Certificate) { c.IPAddresses = []net.IP{{127, 0, 0, 1}} })
		}, "incorrectResponse", "exactly that name"},
		"a name and a mailbox": {func(a *target) *tls.Config {
			return a.forged(func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b.example"} })
		}, "incorrectResponse", "exactly that name"},
		"no names": {func(a *target) *tls.Config { return a.forged(func(c *x509.Certificate) { c.DNSNames = nil }) }, "incorrectResponse", "exactly that name"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newTarget(t)
			a.tls("127.0.0.1", c.config(a))
			a.want("tls-alpn-01", good, c.problem, c.text)
		})
	}
	t.Run("an address as a DNS name", func(t *testing.T) {
		a := newTarget(t)
		a.tls("127.0.0.1", a.forged(func(c *x509.Certificate) { c.DNSNames = []string{"127.0.0.1"} }))
		a.want("tls-alpn-01", "127.0.0.1", "incorrectResponse", "exactly that name")
	})
	t.Run("plain HTTP", func(t *testing.T) {
		a := newTarget(t)
		a.http("127.0.0.1", a.answer)
		a.config.TLSPort = a.config.HTTPPort
		a.want("tls-alpn-01", good, "tls", "first record does not look like a TLS handshake")
	})
	t.Run("silent", func(t *testing.T) {
		a := newTarget(t)
		a.limit = 100 * time.Millisecond
		var l net.Listener
		a.listen(&l, "127.0.0.1", &a.config.TLSPort)
		a.want("tls-alpn-01", good, "connection", "no complete answer came in time")
		l.Close()
		a.want("tls-alpn-01", good, "connection", "connection refused")
	})
}
