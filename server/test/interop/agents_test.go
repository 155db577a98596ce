package interop_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// programs are the agents in docs/agents, and how each is run.
func programs(t *testing.T) map[string][]string {
	return map[string][]string{
		"agent.go":  {built(t, "../../../docs/agents/agent.go")},
		"agent.py":  {python(t), "../../../docs/agents/agent.py"},
		"agent.mjs": {"node", "../../../docs/agents/agent.mjs"},
		"agent.sh":  {"sh", "../../../docs/agents/agent.sh"},
	}
}

// built returns the binary of a Go program.
func built(t *testing.T, source string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "agent")
	servertest.Run(t, true, "go", "build", "-o", binary, source)
	return binary
}

// python returns a Python that has the modules of agent.py, or "".
func python(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(program, "-c", "import cryptography, requests").Run() == nil {
			return program
		}
	}
	return ""
}

// TestAgentsInDocs has each program in docs/agents enroll, call a service, renew, and call it
// again. The service takes tokens only over a connection with the certificate that they are
// bound to.
func TestAgentsInDocs(t *testing.T) {
	for name, command := range programs(t) {
		t.Run(name, func(t *testing.T) {
			if command[0] == "" {
				peer.Missing(t, "Python with cryptography and requests is missing: run make peers")
			}
			for _, needed := range append(map[string][]string{"agent.sh": {"curl", "openssl"}}[name], command[0]) {
				peer.Find(t, needed)
			}
			if _, err := os.Stat("../../../docs/agents/" + name); err != nil { // for go test to know that its result depends on it
				t.Fatal(err)
			}
			w := servertest.New(t)
			url := serveBound(t, w)
			token := w.Add("shop", agents.Change{Scopes: []string{"orders:read"}, Audiences: []string{url}, DNS: []string{"shop.example.org"}}).Enrollment.Token
			dir := filepath.Join(t.TempDir(), "shop")
			run := func(succeeds bool, stdin string, args ...string) string {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], args...)...)
				cmd.Stdin = strings.NewReader(stdin)
				out, err := cmd.CombinedOutput()
				if (err == nil) != succeeds {
					t.Fatalf("%s %q: %v\n%s", name, args, err, out)
				}
				return string(out)
			}
			called := func() {
				t.Helper()
				if got := run(true, "", "call", dir, "orders:read", url+"/orders"); got != "hello, shop\n" {
					t.Errorf("the service said %q", got)
				}
			}

			if got := run(false, token, "enroll", w.URL, strings.Repeat("0", 64), dir); !strings.Contains(got, "fingerprint") {
				t.Errorf("with another fingerprint: %s", got)
			}
			run(true, token, "enroll", w.URL, w.Fingerprint, dir)
			if got := run(false, token, "enroll", w.URL, w.Fingerprint, dir+"-again"); !strings.Contains(got, "enrollment token is not valid") {
				t.Errorf("with a token that was used: %s", got)
			}
			first := identity(t, dir)
			called()
			run(true, "", "renew", dir)
			if second := identity(t, dir); string(second.Certificate[0]) == string(first.Certificate[0]) || !slices.Contains(second.Leaf.DNSNames, "shop.example.org") {
				t.Errorf("renewed is %v", second.Leaf.DNSNames)
			}
			called()
			w.Clock.Advance(-4 * time.Minute) // the next certificates are near their end when they come
			run(true, "", "renew", dir)
			before := identity(t, dir)
			called()
			if string(identity(t, dir).Certificate[0]) == string(before.Certificate[0]) {
				t.Error("a call did not renew a certificate that is near its end")
			}
			moved := strings.Replace(w.URL, "127.0.0.1", "localhost", 1)
			if _, err := w.Admin.Readdress(t.Context(), api.ReaddressRequest{URL: moved, Until: time.Now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			run(true, "", "renew", dir)
			called()
			if known, err := exec.Command("grep", "-r", moved, dir).Output(); err != nil {
				t.Errorf("the program does not know %s: %s %v", moved, known, err)
			}
			if got := run(false, "", "call", dir, "orders:write", url+"/orders"); !strings.Contains(got, "orders:write") {
				t.Errorf("for a scope that the agent does not have: %s", got)
			}
			if _, err := w.Admin.Suspend(t.Context(), "shop", ""); err != nil {
				t.Fatal(err)
			}
			run(false, "", "renew", dir)
			if files, err := filepath.Glob(dir + "/*"); err != nil || len(files) > 8 {
				t.Errorf("left in the directory: %q, %v", files, err)
			}
		})
	}
}

// identity reads the pair of an agent, in a file that nobody else may read.
func identity(t *testing.T, dir string) tls.Certificate {
	t.Helper()
	cert, key := filepath.Join(dir, "identity.pem"), filepath.Join(dir, "identity.pem")
	if _, err := os.Stat(cert); err != nil { // of the Go program
		cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s has the mode %v, %v", key, info.Mode(), err)
	}
	return pair
}

// serveBound starts a service that introspects each token, and returns its URL, which is the
// audience of its tokens.
func serveBound(t *testing.T, w *servertest.World) (url string) {
	t.Helper()
	own := w.Enroll("service", agents.Change{Scopes: []string{"brevet:introspect"}, IPs: []string{"127.0.0.2"}})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		told := own.Introspect(token).JSON
		bound, _ := told["cnf"].(map[string]any)
		print := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		if told["active"] != true || told["aud"] != url || told["scope"] != "orders:read" || bound["x5t#S256"] != base64.RawURLEncoding.EncodeToString(print[:]) {
			http.Error(rw, "this token may not read orders", http.StatusUnauthorized)
			return
		}
		io.WriteString(rw, "hello, "+told["client_id"].(string)+"\n")
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{own.Cert}, ClientCAs: w.Roots, ClientAuth: tls.RequireAndVerifyClientCert}
	s.Listener.Close()
	l, err := net.Listen("tcp", "127.0.0.2:0") // the authority has 127.0.0.1
	if err != nil {
		peer.Missing(t, "a second address of loopback is missing: "+err.Error())
	}
	s.Listener = l
	s.StartTLS()
	t.Cleanup(s.Close)
	url = "https://" + l.Addr().String()
	return url
}
