package readers_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// farAway is where the clients of a proxy are, and besideProxy where the proxy is.
const (
	farAway     = "127.0.0.9"
	besideProxy = "127.0.0.1"
)

// passedThrough returns a site behind a proxy, and the recipe for that with a port in place of
// 443.
func passedThrough(t *testing.T, heading string) (s *site, recipe, port string) {
	t.Helper()
	s = newSite(t)
	s.Configure("proxy_protocol: [" + besideProxy + "]\n")
	port = s.freePort()
	recipe = strings.NewReplacer("10.0.0.5:8443", strings.TrimPrefix(s.URL, "https://"), ":443", "127.0.0.1:"+port, "listen 443", "listen 127.0.0.1:"+port).
		Replace(block(t, "proxies.md", "\n### "+heading+"\n", 0))
	return s, recipe, port
}

// wantClientsThrough has an agent enroll and renew through the proxy. The server knows where
// the agent is, and refuses everybody at the proxy's address who sends no header.
func (s *site) wantClientsThrough(port string) {
	s.t.Helper()
	server := s.URL
	s.URL = "https://127.0.0.1:" + port
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(farAway)}}
	through := func(c *http.Client) *http.Client {
		c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
			for {
				if c, err := dialer.DialContext(ctx, network, to); err == nil || ctx.Err() != nil {
					return c, err
				}
				time.Sleep(10 * time.Millisecond) // the proxy starts
			}
		}
		return c
	}
	in := s.Add("distant", agents.Change{})
	distant := &servertest.Agent{World: s.World, Name: "distant"}
	got := s.PostJSON(through(s.Client()), "/v1/enroll", map[string]any{"token": in.Enrollment.Token, "csr": distant.CSR(nil)})
	if got.Status != http.StatusOK {
		s.t.Fatalf("enrolling: %d %s", got.Status, got.Body)
	}
	distant.Use(got)
	through(distant.HTTP)
	if a := distant.Renew(); a.Status != http.StatusOK {
		s.t.Errorf("renewing: %d %s", a.Status, a.Body)
	}
	all := s.Events()
	for _, e := range all[len(all)-2:] {
		if e.Action != "certificate.issue" || e.Details.Peer != farAway {
			s.t.Errorf("the audit log says %+v of %+v", e.Details, e)
		}
	}
	if r, err := s.Client().Get(server + "/healthz"); err == nil {
		r.Body.Close()
		s.t.Error("a connection from the proxy's address was served without a header")
	}
}

func TestHAProxyPassesThrough(t *testing.T) {
	program := peer.Find(t, "haproxy")
	s, recipe, port := passedThrough(t, "HAProxy")
	often := strings.Replace(recipe, " check ", " check inter 20ms ", 1)
	start(t, nil, program, "-W", "-db", "-f", s.save("haproxy.cfg", often))
	s.wantClientsThrough(port)
	time.Sleep(200 * time.Millisecond) // for checks that would fail to have the proxy give up
	if r, err := s.Client().Get("https://127.0.0.1:" + port + "/healthz"); err != nil {
		t.Error("the proxy has given up the server:", err)
	} else {
		r.Body.Close()
	}
	if strings.Contains(s.Log.String(), "no good PROXY header\" from=127.0.0.1 error=\"no header of the PROXY protocol: EOF") {
		t.Error("a check came without a header")
	}
}

func TestNginxPassesThrough(t *testing.T) {
	nginx := peer.Find(t, "nginx")
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err != nil {
		peer.Missing(t, module+" is missing: make peers installs it")
	}
	s, recipe, port := passedThrough(t, "nginx")
	conf := s.save("nginx.conf", fmt.Sprintf("load_module %s; daemon off; worker_processes 1; pid %s/nginx.pid; error_log stderr;\nevents { worker_connections 64; }\n%s", module, s.dir, recipe))
	start(t, nil, nginx, "-e", "stderr", "-c", conf)
	s.wantClientsThrough(port)
}
