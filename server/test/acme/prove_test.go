package acme_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	acmezproto "github.com/mholt/acmez/v3/acme"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/brevet-ca/brevet/agents"
)

// zClient returns a client of acmez that has an account.
func (a *acmeAgent) zClient() (*acmez.Client, acmezproto.Account) {
	a.t.Helper()
	c := &acmez.Client{Client: &acmezproto.Client{
		Directory: a.w.URL + acmeDirectory, HTTPClient: a.w.Client(), PollInterval: 10 * time.Millisecond, PollTimeout: 20 * time.Second,
	}}
	account := acmezproto.Account{PrivateKey: newKey(a.t), TermsOfServiceAgreed: true}
	if err := account.SetExternalAccountBinding(a.t.Context(), c.Client, acmezproto.EAB{KeyID: a.kid, MACKey: b64(a.mac)}); err != nil {
		a.t.Fatal(err)
	}
	account, err := c.NewAccount(a.t.Context(), account)
	if err != nil {
		a.t.Fatal("registering: ", err)
	}
	return c, account
}

type solvers = map[string]acmez.Solver

// TestACMEChallenges proves names and addresses in each way there is, to real
// listeners.
func TestACMEChallenges(t *testing.T) {
	p := newProvingWorld(t)
	const www, wildcard, address, given = "www.example.org", "*.example.org", "127.0.0.2", "shop.example.org"
	a := addACME(t, p.World, "shop", agents.Change{DNS: []string{www + ",challenge", wildcard + ",challenge", given}, IPs: []string{address + ",challenge"}})
	home, alias := p.listen("127.0.0.1"), p.listen(address)
	byHTTP, byTLS, byDNS := solvers{"http-01": httpSolver{home}}, solvers{"tls-alpn-01": tlsSolver{home}}, solvers{"dns-01": dnsSolver{p.zone}}
	c, account := a.zClient()
	var all sync.WaitGroup
	for _, test := range []struct {
		by    solvers
		names []string
	}{
		{byHTTP, []string{www}},
		{byTLS, []string{www}},
		{byDNS, []string{www}},
		{byDNS, []string{wildcard}},
		{byDNS, []string{www, wildcard, given}},
		{solvers{"http-01": httpSolver{alias}}, []string{address}},
		{solvers{"tls-alpn-01": tlsSolver{alias}}, []string{address}},
		{byHTTP, []string{www, given}},
		{nil, []string{given}},
	} {
		all.Go(func() {
			key := newKey(t)
			chains, err := (&acmez.Client{Client: c.Client, ChallengeSolvers: test.by}).ObtainCertificateForSANs(t.Context(), account, key, test.names)
			if err != nil {
				t.Errorf("%v by %v: %v", test.names, test.by, err)
				return
			}
			a.checkChain(derChain(t, chains[0].ChainPEM), key, idsOf(test.names))
		})
	}
	all.Wait()
}

// TestACMEChallengesFail answers challenges wrongly, or not at all: that brings
// no certificate.
func TestACMEChallengesFail(t *testing.T) {
	t.Parallel() // the library tries for some seconds
	p := newProvingWorld(t)
	a := addACME(t, p.World, "shop", agents.Change{DNS: []string{"www.example.org,challenge", "*.example.org,challenge"}})
	home := p.listen("127.0.0.1")
	c, account := a.zClient()
	var all sync.WaitGroup
	for _, test := range []struct {
		by   solvers
		name string
	}{
		{solvers{"http-01": forgetful{}}, "www.example.org"},
		{solvers{"tls-alpn-01": forgetful{}}, "www.example.org"},
		{solvers{"dns-01": forgetful{}}, "www.example.org"},
		{solvers{"http-01": httpSolver{home}, "tls-alpn-01": tlsSolver{home}}, "*.example.org"}, // RFC 8555, section 8.4: only by DNS
		{nil, "www.example.org"},
	} {
		all.Go(func() {
			_, err := (&acmez.Client{Client: c.Client, ChallengeSolvers: test.by}).ObtainCertificateForSANs(t.Context(), account, newKey(t), []string{test.name})
			if err == nil {
				t.Errorf("a certificate for %s by %v", test.name, test.by)
			}
		})
	}
	all.Wait()
	if n := a.events("certificate.issue", "allow"); n > 0 {
		t.Errorf("%d certificates were issued", n)
	}
}

// forgetful solvers answer nothing.
type forgetful struct{}

func (forgetful) Present(context.Context, acmezproto.Challenge) error { return nil }
func (forgetful) CleanUp(context.Context, acmezproto.Challenge) error { return nil }

// TestACMEAutocert has a TLS server fetch its certificate in the middle of a
// handshake, as golang.org/x/crypto/acme/autocert does, for a name that it
// proves by that very listener, and for one that it was given.
func TestACMEAutocert(t *testing.T) {
	p := newProvingWorld(t)
	a := addACME(t, p.World, "shop", agents.Change{DNS: []string{"www.example.org,challenge", "shop.example.org"}})
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist("www.example.org", "shop.example.org"), Cache: autocert.DirCache(t.TempDir()),
		Client:                 a.xClient(nil),
		ExternalAccountBinding: &acme.ExternalAccountBinding{KID: a.kid, Key: a.mac},
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", p.tls))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{TLSConfig: m.TLSConfig(), Handler: http.NotFoundHandler(), ErrorLog: quiet(t)}
	go srv.ServeTLS(l, "", "")
	t.Cleanup(func() { srv.Close() })
	for range 2 {
		for _, name := range []string{"www.example.org", "shop.example.org"} {
			conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: name, RootCAs: p.Roots})
			if err != nil {
				t.Fatal(name, ": ", err)
			}
			state := conn.ConnectionState()
			conn.Close()
			var chain [][]byte
			for _, c := range state.PeerCertificates {
				chain = append(chain, c.Raw)
			}
			a.checkChain(chain, nil, acme.DomainIDs(name))
		}
	}
	if n := a.events("certificate.issue", "allow"); n != 2 {
		t.Errorf("%d certificates were issued, want 2", n)
	}
	if _, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: "bank.example.org", RootCAs: p.Roots}); err == nil {
		t.Error("a certificate for a name that is not the agent's")
	}
}
