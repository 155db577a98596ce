package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/server/test/peer"
)

const testToken = "ZXZhR3hmQURzNnBTUmIyTEF2OUlaZjE3RHQzanV4R0o"

// A target is a machine that a challenge is about: a web server, a TLS server
// and the DNS that leads there. Its answers come from an ACME client that
// somebody else wrote.
type target struct {
	t      *testing.T
	client *acme.Client
	jwk    []byte
	zone   *zone
	config ChallengeConfig
	limit  time.Duration
}

func newTarget(t *testing.T, records ...string) *target {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x, y := make([]byte, 32), make([]byte, 32)
	key.X.FillBytes(x)
	key.Y.FillBytes(y)
	b64 := base64.RawURLEncoding.EncodeToString
	a := &target{
		t: t, client: &acme.Client{Key: key}, limit: 5 * time.Second,
		jwk:  fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, b64(x), b64(y)),
		zone: newZone(t, append(records, "a.example. 0 A 127.0.0.1")...),
	}
	a.config = ChallengeConfig{Resolver: a.zone.address, Allow: loopback}
	return a
}

// http serves a handler at the port of http-01, of the address given.
func (a *target) http(address string, h http.HandlerFunc) *httptest.Server {
	a.t.Helper()
	s := httptest.NewUnstartedServer(h)
	a.listen(&s.Listener, address, &a.config.HTTPPort)
	s.Start()
	a.t.Cleanup(s.Close)
	return s
}

func (a *target) listen(l *net.Listener, address string, port *int) {
	a.t.Helper()
	if *l != nil {
		(*l).Close()
	}
	var err error
	if *l, err = net.Listen("tcp", net.JoinHostPort(address, fmt.Sprint(*port))); err != nil {
		if !strings.Contains(address, ":") {
			a.t.Fatal(err)
		}
		peer.Missing(a.t, fmt.Sprintf("there is no IPv6 here: %v", err))
	}
	*port = (*l).Addr().(*net.TCPAddr).Port
}

// tls serves TLS at the port of tls-alpn-01. The names that clients send go to
// seen.
func (a *target) tls(address string, c *tls.Config) (seen chan string) {
	a.t.Helper()
	var l net.Listener
	a.listen(&l, address, &a.config.TLSPort)
	a.t.Cleanup(func() { l.Close() })
	seen = make(chan string, 10)
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		seen <- h.ServerName
		return nil, nil
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				tls.Server(conn, c).Handshake()
			}()
		}
	}()
	return seen
}

// keyAuthorization is what http-01 wants.
func (a *target) keyAuthorization() string {
	s, err := a.client.HTTP01ChallengeResponse(testToken)
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

// answer serves what http-01 wants, at its place.
func (a *target) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != a.client.HTTP01ChallengePath(testToken) {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintln(w, a.keyAuthorization())
}

func (a *target) prove(kind, value string) *problem {
	a.t.Helper()
	id := identifier{"dns", value}
	if net.ParseIP(value) != nil {
		id.Type = "ip"
	}
	return newDialer(a.config).prove(a.t.Context(), proof{id, kind, testToken, a.jwk}, a.limit)
}

// want checks that the identifier is proven, or else not, with a problem of the
// type and text given.
func (a *target) want(kind, value, problem, text string) {
	a.t.Helper()
	p := a.prove(kind, value)
	switch {
	case p == nil && problem != "":
		a.t.Errorf("%s is proven by %s, want %s", value, kind, problem)
	case p != nil && (p.Type != problem || !strings.Contains(p.Detail, text)):
		a.t.Errorf("%s by %s: got %v, want %s with %q", value, kind, p, problem, text)
	}
}

// certificate is the one that tls-alpn-01 wants.
func (a *target) certificate(value string) tls.Certificate {
	a.t.Helper()
	c, err := a.client.TLSALPN01ChallengeCert(testToken, value)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func presenting(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}, NextProtos: []string{"acme-tls/1"}}
}

// forged is the right certificate for a.example with one flaw.
func (a *target) forged(change func(*x509.Certificate)) *tls.Config {
	a.t.Helper()
	digest := sha256.Sum256([]byte(a.keyAuthorization()))
	value, err := asn1.Marshal(digest[:])
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"a.example"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}, Critical: true, Value: value}},
	}
	change(template)
	key := a.client.Key
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		a.t.Fatal(err)
	}
	return presenting(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}
