package acme_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"

	"github.com/brevet-ca/brevet/server/servertest"
)

// A proving world is an authority whose challenges stay on this machine: names
// are looked up with a DNS server of the test's, which resolves each to
// loopback, and answers are fetched from ports of the test's.
type provingWorld struct {
	*servertest.World
	t         *testing.T
	zone      *zone
	http, tls string // ports of http-01 and tls-alpn-01
}

func newProvingWorld(t *testing.T) *provingWorld {
	t.Helper()
	p := &provingWorld{World: servertest.New(t), t: t, zone: newZone(t)}
	_, p.http, _ = net.SplitHostPort(servertest.FreeAddress(t))
	_, p.tls, _ = net.SplitHostPort(servertest.FreeAddress(t))
	p.Stop()
	f, err := os.OpenFile(p.File("brevet.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "acme: {resolver: %q, allow: [127.0.0.0/8], http_port: %s, tls_port: %s}\n", p.zone.address, p.http, p.tls)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p.Start()
	return p
}

// A zone is a DNS server on loopback that has an address for every name, and
// the TXT records that a test puts there.
type zone struct {
	address string

	mu  sync.Mutex
	txt map[string][]string
}

func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{address: servertest.FreeAddress(t), txt: map[string][]string{}}
	conn, err := net.ListenPacket("udp", z.address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", z.address)
	if err != nil {
		t.Fatal(err)
	}
	for _, srv := range []*dns.Server{{PacketConn: conn, Handler: z}, {Listener: l, Handler: z}} {
		go srv.ActivateAndServe()
		t.Cleanup(func() { srv.Shutdown() })
	}
	return z
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET}
	z.mu.Lock()
	defer z.mu.Unlock()
	switch head.Rrtype {
	case dns.TypeA:
		m.Answer = append(m.Answer, &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)})
	case dns.TypeTXT:
		for _, text := range z.txt[strings.ToLower(head.Name)] {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: head, Txt: []string{text}})
		}
	}
	w.WriteMsg(m)
}

// dnsSolver answers dns-01.
type dnsSolver struct{ *zone }

func (s dnsSolver) Present(_ context.Context, c acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.ToLower(dns.Fqdn(c.DNS01TXTRecordName()))
	s.txt[name] = append(s.txt[name], c.DNS01KeyAuthorization())
	return nil
}

func (s dnsSolver) CleanUp(_ context.Context, c acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.ToLower(dns.Fqdn(c.DNS01TXTRecordName()))
	s.txt[name] = slices.DeleteFunc(s.txt[name], func(text string) bool { return text == c.DNS01KeyAuthorization() })
	return nil
}

// answers serves what http-01 and tls-alpn-01 ask an address for.
type answers struct {
	mu    sync.Mutex
	byURL map[string]string           // by path
	certs map[string]*tls.Certificate // by server name
}

func (p *provingWorld) listen(ip string) *answers {
	p.t.Helper()
	a := &answers{byURL: map[string]string{}, certs: map[string]*tls.Certificate{}}
	plain, secure := p.listenOn(ip, p.http), p.listenOn(ip, p.tls)
	go http.Serve(plain, a)
	go handshakes(tls.NewListener(secure, &tls.Config{GetCertificate: a.certificate, NextProtos: []string{"acme-tls/1"}}))
	return a
}

func (p *provingWorld) listenOn(ip, port string) net.Listener {
	p.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Close() })
	return l
}

// handshakes completes TLS with every client: that is all of tls-alpn-01.
func handshakes(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			c.(*tls.Conn).Handshake()
		}()
	}
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, ok := a.byURL[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Write([]byte(text))
}

func (a *answers) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.certs[hello.ServerName], nil
}

type httpSolver struct{ *answers }

func (s httpSolver) Present(_ context.Context, c acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byURL[c.HTTP01ResourcePath()] = c.KeyAuthorization
	return nil
}

func (s httpSolver) CleanUp(context.Context, acme.Challenge) error { return nil }

type tlsSolver struct{ *answers }

func (s tlsSolver) Present(_ context.Context, c acme.Challenge) error {
	cert, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return err
	}
	name := c.Identifier.Value
	if ip, err := netip.ParseAddr(name); err == nil {
		if name, err = dns.ReverseAddr(ip.String()); err != nil { // RFC 8738, section 6
			return err
		}
		name = strings.TrimSuffix(name, ".")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.certs[name] = cert
	return nil
}

func (s tlsSolver) CleanUp(context.Context, acme.Challenge) error { return nil }
