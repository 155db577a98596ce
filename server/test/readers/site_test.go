// Package readers_test has the programs that check certificates read the authority's
// revocation data, by the recipes of docs/relying-parties.md, and has proxies stand before the
// authority, by those of docs/proxies.md.
package readers_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A site is a machine with the files of the agent web, which the recipes name, and two
// agents that connect to it. One of them gets suspended.
type site struct {
	*servertest.World
	t              *testing.T
	dir            string
	web, good, bad *servertest.Agent
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{World: servertest.New(t), t: t, dir: t.TempDir()}
	s.web, s.good, s.bad = s.Enroll("web", agents.Change{}), s.Enroll("good", agents.Change{}), s.Enroll("bad", agents.Change{})
	s.save("roots.pem", s.Get(s.Client(), "/roots.pem"))
	s.save("chain.pem", s.Get(s.Client(), "/chain.pem"))
	s.files(s.web, "")
	s.files(s.good, "good-")
	s.files(s.bad, "bad-")
	s.fetchLists()
	return s
}

func (s *site) save(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	mode := os.FileMode(0o600)
	if name == "roots.pem" {
		mode = 0o644
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// files saves an agent's certificate and key as brevet client does.
func (s *site) files(a *servertest.Agent, prefix string) {
	s.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(a.Key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.save(prefix+"cert.pem", string(ca.PEM(a.Cert.Certificate...)))
	s.save(prefix+"key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// open lets other users pass through the site's directory, for servers whose workers have
// a user of their own.
func (s *site) open() {
	s.t.Helper()
	for d := s.dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
}

// fetchLists saves the CRLs, as brevet client run --crl-file does.
func (s *site) fetchLists() { s.save("crl.pem", s.Get(s.Client(), "/crl/bundle.pem")) }

// suspend ends bad and its certificate, and fetches the lists.
func (s *site) suspend() {
	s.t.Helper()
	if _, err := s.Admin.Suspend(s.t.Context(), "bad", ""); err != nil {
		s.t.Fatal(err)
	}
	s.fetchLists()
}

// recipe returns the n-th block of code below a heading of the documentation, with the
// paths of this site and a port in place of 443.
func (s *site) recipe(heading string, n int, port string) string {
	s.t.Helper()
	text := block(s.t, "relying-parties.md", "\n## "+heading+"\n", n)
	return strings.NewReplacer("/etc/brevet/web", s.dir, ":443", ":"+port, "listen 443", "listen "+port, "listen(443", "listen("+port, "web.example.internal", "web."+servertest.TrustDomain).Replace(text)
}

// block returns the n-th block of code below a heading of a page of the documentation.
func block(t *testing.T, page, heading string, n int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), heading)
	section, _, _ = strings.Cut(section, heading[:strings.Index(heading, " ")+1]) // the next of its rank
	var blocks []string
	inside := false
	for line := range strings.Lines(section) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && !inside:
			blocks = append(blocks, code)
		case indented || inside && line == "\n":
			blocks[len(blocks)-1] += strings.TrimPrefix(line, "    ")
		}
		inside = indented || inside && line == "\n"
	}
	if !ok || n >= len(blocks) {
		t.Fatalf("docs/%s has no recipe %d below %q", page, n, heading)
	}
	return blocks[n]
}

// freePort returns a port of loopback that is free at the moment.
func (s *site) freePort() string {
	s.t.Helper()
	_, port, err := net.SplitHostPort(servertest.FreeAddress(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	return port
}

// greet makes a request to the server at a port as an agent. It fails unless the server
// is web and accepts the agent.
func (s *site) greet(port string) func(*servertest.Agent) error {
	roots, err := os.ReadFile(filepath.Join(s.dir, "roots.pem"))
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(roots) {
		s.t.Fatal("roots.pem", err)
	}
	return func(a *servertest.Agent) error {
		c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: pool, ServerName: "web." + servertest.TrustDomain, Certificates: []tls.Certificate{a.Cert},
		}}}
		resp, err := c.Get("https://127.0.0.1:" + port + "/")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %.200s", resp.Status, body)
		}
		return nil
	}
}

// soon waits until try succeeds. Programs start, reload and renew at their own pace.
func (s *site) soon(what string, try func() error) {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: %v", what, err)
		}
	}
}

// judge checks that a server accepts both agents, and after one was suspended and the
// server has reloaded its files, only the other.
func (s *site) judge(greet func(*servertest.Agent) error, reload func()) {
	s.t.Helper()
	s.soon("good is accepted", func() error { return greet(s.good) })
	if err := greet(s.bad); err != nil {
		s.t.Fatalf("before it is suspended: %v", err)
	}
	s.suspend()
	reload()
	s.soon("bad is refused", func() error {
		if greet(s.bad) == nil {
			return errors.New("it is accepted")
		}
		return nil
	})
	if err := greet(s.good); err != nil {
		s.t.Errorf("good is refused, too: %v", err)
	}
}
