package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

// talk has a client connect to a server, and returns the first error of the
// client's, then the server's.
func talk(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	check(t, err)
	accepted := make(chan error, 1)
	srv := &http.Server{
		Handler:  http.HandlerFunc(func(http.ResponseWriter, *http.Request) { accepted <- nil }),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go srv.Serve(l)
	defer srv.Close()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: client, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := c.Get("https://" + l.Addr().String())
	if err != nil {
		return err
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return <-accepted
}

func TestHybridPeers(t *testing.T) {
	for _, m := range []mode{alternative, composite, pure} {
		t.Run(string(m), func(t *testing.T) {
			a := newHybridAuthority(t, m)
			id := a.enroll(t, t.TempDir(), "127.0.0.1")
			check(t, talk(t, id.HybridServerConfig(), id.HybridClientConfig("127.0.0.1")))
			named := id.HybridClientConfig("")
			named.ServerName = "bot.corp.example"
			check(t, talk(t, id.HybridServerConfig(), named))

			for name, client := range map[string]*tls.Config{
				"valid for 127.0.0.1":  id.HybridClientConfig("127.0.0.2"), // as crypto/x509 puts it
				"not other.example":    id.HybridClientConfig("other.example"),
				"give HybridClientCon": id.HybridClientConfig(""),
			} {
				if err := talk(t, id.HybridServerConfig(), client); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("got %v, want %q", err, name)
				}
			}
			other := newHybridAuthority(t, m).enroll(t, t.TempDir(), "127.0.0.1")
			if err := talk(t, other.HybridServerConfig(), id.HybridClientConfig("127.0.0.1")); err == nil || !strings.Contains(err.Error(), "no valid path to a root") {
				t.Errorf("a server of another authority: %v", err)
			}
			unchecked := other.HybridClientConfig("127.0.0.1")
			unchecked.VerifyConnection = nil
			if err := talk(t, id.HybridServerConfig(), unchecked); err == nil {
				t.Error("a client of another authority was let in")
			}
			anonymous := id.HybridClientConfig("127.0.0.1")
			anonymous.GetClientCertificate = nil
			if err := talk(t, id.HybridServerConfig(), anonymous); err == nil {
				t.Error("a client without certificate was let in")
			}
		})
	}
}

// TestHybridPeersRefuseClassicalOnes also where the standard library would not.
func TestHybridPeersRefuseClassicalOnes(t *testing.T) {
	a := newHybridAuthority(t, alternative)
	id := a.enroll(t, t.TempDir(), "127.0.0.1")
	genuine := a.issuing.Signer
	var err error
	a.issuing.Signer, err = pkix.NewSigner(a.issuing.Key)
	check(t, err)
	forged := a.enroll(t, t.TempDir(), "127.0.0.1")
	a.issuing.Signer = genuine
	check(t, talk(t, forged.TLSConfig(), id.TLSConfig()))
	if err := talk(t, forged.HybridServerConfig(), id.HybridClientConfig("127.0.0.1")); !errors.Is(err, pkix.ErrNotHybrid) {
		t.Errorf("by HybridClientConfig: %v", err)
	}
	if err := talk(t, id.HybridServerConfig(), forged.TLSConfig()); err == nil {
		t.Error("HybridServerConfig let a classical client in")
	}
	check(t, id.RequireHybrid(t.Context()))
	if err := talk(t, forged.TLSConfig(), id.TLSConfig()); !errors.Is(err, pkix.ErrNotHybrid) {
		t.Errorf("by TLSConfig of an identity that requires hybrid signatures: %v", err)
	}
	check(t, talk(t, id.TLSConfig(), id.TLSConfig()))

	// The name that a client asks for is the server's, not its own.
	c := a.hybridConfig(t.TempDir())
	c.Token = a.invite("shop")
	shop, err := Enroll(t.Context(), c)
	check(t, err)
	server, client := shop.TLSConfig(), id.TLSConfig()
	server.ClientAuth, client.ServerName = tls.RequireAndVerifyClientCert, "shop.corp.example"
	check(t, talk(t, server, client))
	check(t, talk(t, shop.HybridServerConfig(), id.HybridClientConfig("shop.corp.example")))
	client.ServerName = "bot.corp.example"
	if err := talk(t, server, client); err == nil {
		t.Error("TLSConfig took one agent for another")
	}
	if err := talk(t, shop.HybridServerConfig(), id.HybridClientConfig("bot.corp.example")); err == nil {
		t.Error("HybridClientConfig took one agent for another")
	}
}

// TestHybridPeersAskForTheUse: a certificate for servers is refused from a client,
// and the other way round.
func TestHybridPeersAskForTheUse(t *testing.T) {
	for _, m := range []mode{alternative, composite, pure} {
		a := newHybridAuthority(t, m)
		id := a.enroll(t, t.TempDir(), "127.0.0.1")
		only := func(u x509.ExtKeyUsage) *tls.Certificate {
			key, err := newKey()
			check(t, err)
			c := a.issuing.Sign(pkixtest.Leaf(func(c *x509.Certificate) {
				c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{u}
			}), key.Public())
			return &tls.Certificate{Certificate: [][]byte{c.Raw, a.issuing.Cert.Raw}, PrivateKey: key}
		}
		for use, ok := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageClientAuth: true, x509.ExtKeyUsageServerAuth: false} {
			client, server := id.HybridClientConfig("127.0.0.1"), id.HybridServerConfig()
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return only(use), nil }
			if err := talk(t, id.HybridServerConfig(), client); (err == nil) != ok {
				t.Errorf("%s: a client with use %v: %v", m, use, err)
			}
			server.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return only(use), nil }
			err := talk(t, server, id.HybridClientConfig("127.0.0.1"))
			if ok && (err == nil || !strings.Contains(err.Error(), "not for this use")) || !ok && err != nil {
				t.Errorf("%s: a server with use %v: %v", m, use, err)
			}
		}
	}
}
