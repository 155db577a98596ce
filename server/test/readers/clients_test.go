package readers_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

func run(t *testing.T, program string, args ...string) error {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// command returns the words of a recipe for an agent in place of web.
func (s *site) command(heading string, a *servertest.Agent, port string) []string {
	s.t.Helper()
	words := strings.Fields(strings.ReplaceAll(s.recipe(heading, 0, port), "/cert.pem", "/"+a.Name+"-cert.pem"))
	peer.Find(s.t, words[0])
	return words
}

// mustSay checks that an agent's certificate is judged by a command with these words.
func (s *site) mustSay(a *servertest.Agent, succeeds bool, want string, words []string) {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), words[0], words[1:]...).CombinedOutput()
	if (err == nil) != succeeds || !strings.Contains(string(out), want) {
		s.t.Errorf("%s: %v\n%s\nwant %q", a.Name, err, out, want)
	}
}

func TestOpenSSL(t *testing.T) {
	s := newSite(t)
	s.mustSay(s.bad, true, ": OK", s.command("OpenSSL", s.bad, ""))
	s.suspend()
	s.mustSay(s.good, true, ": OK", s.command("OpenSSL", s.good, ""))
	s.mustSay(s.bad, false, "certificate revoked", s.command("OpenSSL", s.bad, ""))
}

// TestGnuTLS has GnuTLS ask OCSP, whose answers it takes only if they name the responder.
func TestGnuTLS(t *testing.T) {
	s := newSite(t)
	s.mustSay(s.bad, true, "Certificate Status: good", s.command("GnuTLS", s.bad, ""))
	s.suspend()
	s.mustSay(s.good, true, "Certificate Status: good", s.command("GnuTLS", s.good, ""))
	s.mustSay(s.bad, true, "Certificate Status: revoked", s.command("GnuTLS", s.bad, ""))
	s.mustSay(s.bad, true, "Verifying OCSP Response: Success", s.command("GnuTLS", s.bad, ""))
}

// TestGnuTLSClient has gnutls-cli ask OCSP about the server that it connects to.
func TestGnuTLSClient(t *testing.T) {
	program := peer.Find(t, "gnutls-cli")
	s := newSite(t)
	ask := func(a *servertest.Agent) []string {
		name := a.Name + "." + servertest.TrustDomain
		return []string{program, "--x509cafile", s.dir + "/roots.pem", "--ocsp", "--sni-hostname", name, "--verify-hostname", name, "--port", s.serve(a), "127.0.0.1"}
	}
	s.mustSay(s.bad, true, "Handshake was completed", ask(s.bad))
	s.suspend()
	s.mustSay(s.good, true, "Handshake was completed", ask(s.good))
	s.mustSay(s.bad, false, "revoked", ask(s.bad))
}

// serve starts an HTTPS server with an agent's certificate and returns its port.
func (s *site) serve(a *servertest.Agent) (port string) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.Cert}}
	server.StartTLS()
	s.t.Cleanup(server.Close)
	return server.URL[strings.LastIndex(server.URL, ":")+1:]
}

func TestCurl(t *testing.T) {
	s := newSite(t)
	ask := func(a *servertest.Agent) []string {
		port, name := s.serve(a), a.Name+"."+servertest.TrustDomain
		words := s.command("curl", a, port)
		words[len(words)-1] = "https://" + name + ":" + port + "/"
		return append(words, "--silent", "--show-error", "--resolve", name+":"+port+":127.0.0.1")
	}
	s.mustSay(s.bad, true, "404", ask(s.bad))
	s.suspend()
	s.mustSay(s.good, true, "404", ask(s.good))
	s.mustSay(s.bad, false, "certificate revoked", ask(s.bad))
}

// TestJava runs the Java program with the lists in a file, and without its options, where
// Java asks OCSP.
func TestJava(t *testing.T) {
	peer.Find(t, "javac")
	java := peer.Find(t, "java")
	s := newSite(t)
	s.suspend()
	program := s.recipe("Java", 0, "")
	before, rest, _ := strings.Cut(program, "checker.setOptions(")
	_, after, ok := strings.Cut(rest, ";\n")
	noLists := strings.Replace(before+after, "parameters.addCertStore(", "Objects.hash(", 1)
	if !ok || noLists == program {
		t.Fatal("the recipe has no options")
	}
	for what, program := range map[string]string{"the lists in a file": program, "OCSP": noLists} {
		out := servertest.Run(t, true, java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", s.save("Check.java", program), s.dir+"/good-cert.pem", s.dir+"/bad-cert.pem")
		if got := strings.Fields(out); len(got) != 2 || got[0] != "valid" || got[1] != "REVOKED" {
			t.Errorf("%s: Java says %q", what, out)
		}
	}
}
