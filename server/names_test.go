package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// own returns the certificate that the server presents.
func own(t *testing.T, w *servertest.World) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(w.URL, "https://"), &tls.Config{RootCAs: w.Roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// rewrite puts more at the end of brevet.yaml as it was in the beginning.
func rewrite(t *testing.T, w *servertest.World) (with func(more string)) {
	t.Helper()
	before, err := os.ReadFile(w.File("brevet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return func(more string) {
		t.Helper()
		if err := os.WriteFile(w.File("brevet.yaml"), append(slices.Clone(before), more...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNamesOfTheServerChange while it runs: its certificate has them at once, and a name
// that is taken changes nothing.
func TestNamesOfTheServerChange(t *testing.T) {
	w := servertest.New(t)
	with := rewrite(t, w)
	w.Enroll("bot", agents.Change{DNS: []string{"taken.example"}})
	first := own(t, w)
	if err := first.VerifyHostname("pki.example"); err == nil {
		t.Error("the server has the name before it is given")
	}
	with("names: [pki.example, \"2001:db8::1\"]\n")
	if r, err := w.Admin.Reload(t.Context()); err != nil || !slices.Equal(r.Changed, []string{"names"}) {
		t.Fatalf("got %v, %v", r, err)
	}
	second := own(t, w)
	if err := second.VerifyHostname("pki.example"); err != nil || !second.IPAddresses[len(second.IPAddresses)-1].Equal(net.ParseIP("2001:db8::1")) {
		t.Errorf("got %v, %v; %v", second.DNSNames, second.IPAddresses, err)
	}
	if err := second.VerifyHostname("127.0.0.1"); err != nil {
		t.Error("the advertised name is gone:", err)
	}

	with("names: [taken.example]\nlimits: {tokens: 7}\n")
	if _, err := w.Admin.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "taken.example is registered for bot") {
		t.Errorf("a name that an agent has: got %v", err)
	}
	if got := own(t, w); !got.Equal(second) {
		t.Error("the certificate has changed")
	}

	with("limits: {tokens: 8}\n")
	if r, err := w.Admin.Reload(t.Context()); err != nil || !slices.Equal(r.Changed, []string{"limits.tokens", "names"}) {
		t.Fatalf("without names: got %v, %v", r, err)
	}
	if err := own(t, w).VerifyHostname("pki.example"); err == nil {
		t.Error("the server keeps a name that was taken from it")
	}
	w.Enroll("heir", agents.Change{DNS: []string{"pki.example"}})

	w.Stop()
	with("names: [later.example]\n")
	w.Start()
	if err := own(t, w).VerifyHostname("later.example"); err != nil {
		t.Error("after a restart:", err)
	}
}
