package readers_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/clientcert"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// webName is the name in the certificate of the proxy.
const webName = "web." + servertest.TrustDomain

// forwarded returns a site behind a proxy that terminates TLS, and the recipe for that.
func forwarded(t *testing.T, heading string) (s *site, recipe, port string) {
	t.Helper()
	s = newSite(t)
	edge := s.Enroll("edge", agents.Change{Scopes: []string{"brevet:proxy"}})
	s.files(edge, "edge-")
	for _, link := range [][2]string{{"roots.pem", "edge-roots.pem"}, {"key.pem", "cert.pem.key"}, {"edge-key.pem", "edge-cert.pem.key"}} {
		if err := os.Symlink(link[0], filepath.Join(s.dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	port = s.freePort()
	recipe = strings.NewReplacer("10.0.0.5:8443", strings.TrimPrefix(s.URL, "https://"), "/etc/brevet/edge/", s.dir+"/edge-", "/etc/ssl/ca.pem", s.dir+"/cert.pem", "/etc/ssl/ca.key", s.dir+"/key.pem",
		"https://ca.example.com", "https://"+webName+":"+port, "ca.example.com", "localhost", ":443", "127.0.0.1:"+port, "listen 443", "listen 127.0.0.1:"+port).
		Replace(block(t, "proxies.md", "\n### Forwarding by "+heading+"\n", 0))
	return s, recipe, port
}

// through asks for a token through the proxy, with a certificate and fields of the client's own.
func (s *site) through(port string, form url.Values, fields http.Header, certs ...tls.Certificate) (status int, body string) {
	s.t.Helper()
	pool := x509.NewCertPool()
	roots, err := os.ReadFile(filepath.Join(s.dir, "roots.pem"))
	if err != nil || !pool.AppendCertsFromPEM(roots) {
		s.t.Fatal(err)
	}
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certs}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "https://"+webName+":"+port+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if fields != nil {
		r.Header = fields
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := (&http.Client{Transport: tr, Timeout: 5 * time.Second}).Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// wantForwarding has agents get tokens through the proxy by their certificates, and nobody by
// a certificate that they only name.
func (s *site) wantForwarding(port string) {
	s.t.Helper()
	for { // until the proxy listens
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
			break
		}
		if s.t.Context().Err() != nil {
			s.t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	bot := s.Enroll("bot", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
	form := url.Values{"grant_type": {"client_credentials"}}
	if status, body := s.through(port, form, nil, bot.Cert); status != http.StatusOK || !strings.Contains(body, "access_token") {
		s.t.Errorf("a token through the proxy: %d %s", status, body)
	}
	events := s.Events()
	if last := events[len(events)-1]; last.Action != "token.mint" || last.Subject != "bot" || !strings.Contains(fmt.Sprint(last.Reasons), ", by edge") {
		s.t.Errorf("the audit log says %+v", last)
	}
	before := len(events)
	named := http.Header{clientcert.Header: {clientcert.Format(bot.Leaf.Raw)}}
	if status, body := s.through(port, form, named.Clone()); status != http.StatusUnauthorized {
		s.t.Errorf("a certificate that a stranger names: %d %s", status, body)
	}
	if status, body := s.through(port, form, named.Clone(), s.good.Cert); strings.Contains(body, "access_token") && status == http.StatusOK {
		s.t.Errorf("a certificate that another agent names: %d %s", status, body)
	}
	for _, e := range s.Events()[before:] {
		if e.Subject == "bot" {
			s.t.Errorf("recorded is %+v", e)
		}
	}
	chain := http.Header{clientcert.ChainHeader: {clientcert.Format(bot.Leaf.Raw)}}
	if status, body := s.through(port, form, chain, bot.Cert); status != http.StatusOK {
		s.t.Errorf("a chain from the client: %d %s", status, body)
	}
	if status, body := s.through(port, form, nil); status != http.StatusUnauthorized {
		s.t.Errorf("no certificate: %d %s", status, body)
	}
	if _, err := s.Admin.RevokeCertificate(s.t.Context(), bot.Serial(), ""); err != nil {
		s.t.Fatal(err)
	}
	if status, body := s.through(port, form, nil, bot.Cert); status != http.StatusUnauthorized {
		s.t.Errorf("a revoked certificate: %d %s", status, body)
	}
}

func TestNginxForwards(t *testing.T) {
	nginx := peer.Find(t, "nginx")
	s, recipe, port := forwarded(t, "nginx")
	conf := s.save("nginx.conf", fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
%[2]s}
`, s.dir, recipe))
	start(t, nil, nginx, "-e", "stderr", "-c", conf)
	s.wantForwarding(port)
}

func TestHAProxyForwards(t *testing.T) {
	program := peer.Find(t, "haproxy")
	s, recipe, port := forwarded(t, "HAProxy")
	start(t, nil, program, "-W", "-db", "-f", s.save("haproxy.cfg", recipe))
	s.wantForwarding(port)
}

func TestCaddyForwards(t *testing.T) {
	program := peer.Find(t, "caddy")
	s, recipe, port := forwarded(t, "Caddy")
	t.Setenv("XDG_DATA_HOME", s.dir)
	t.Setenv("XDG_CONFIG_HOME", s.dir)
	start(t, nil, program, "run", "--adapter", "caddyfile", "--config", s.save("Caddyfile", "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n"+recipe))
	s.wantForwarding(port)
}
