package server_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// alter replaces text in the brevet.yaml of an authority that is stopped meanwhile.
func alter(t *testing.T, w *servertest.World, before, after string) {
	t.Helper()
	text, err := os.ReadFile(w.File("brevet.yaml"))
	if err != nil || !bytes.Contains(text, []byte(before)) {
		t.Fatalf("%q is not in brevet.yaml: %v", before, err)
	}
	w.Stop()
	if err := os.WriteFile(w.File("brevet.yaml"), bytes.Replace(text, []byte(before), []byte(after), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Start()
}

// needIPv6 skips the test where loopback has no IPv6.
func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		peer.Missing(t, fmt.Sprintf("there is no IPv6 here: %v", err))
	}
	l.Close()
}

// TestSeveralAddresses of each listener answer alike, with IPv6 and at port 0, too. The log
// names all of them.
func TestSeveralAddresses(t *testing.T) {
	needIPv6(t)
	w := servertest.New(t)
	https, http := strings.TrimPrefix(w.URL, "https://"), strings.TrimPrefix(w.HTTP, "http://")
	alter(t, w, "listen: "+https, fmt.Sprintf(`listen: [%q, "[::1]:0"]`, https))
	alter(t, w, "listen_http: "+http, fmt.Sprintf(`listen_http: ["[::1]:0", %q]`, http))
	w.Configure(`listen_metrics: ["127.0.0.1:0", "[::1]:0"]` + "\n")

	log := w.Log.String()
	log = log[strings.LastIndex(log, "msg=ready"):]
	found := regexp.MustCompile(`https="(\S+) (\S+)" http="(\S+) (\S+)"(?s:.*)msg=metrics http="(\S+) (\S+)"`).FindStringSubmatch(log)
	if found == nil || found[1] != https || found[4] != http || strings.HasSuffix(found[2], ":0") {
		t.Fatalf("the log does not name the addresses: %s", log)
	}
	for _, url := range []string{
		"https://" + found[1] + "/healthz", "https://" + found[2] + "/healthz", "http://" + found[3] + "/crl/bundle.pem", "http://" + found[4] + "/crl/bundle.pem",
		"http://" + found[5] + "/metrics", "http://" + found[6] + "/metrics",
	} {
		r, err := w.Client().Get(url)
		if err != nil {
			t.Error(err)
			continue
		}
		r.Body.Close()
		if r.StatusCode != 200 {
			t.Errorf("%s: %s", url, r.Status)
		}
	}
	if err := own(t, w).VerifyHostname("::1"); err != nil {
		t.Error("the certificate is not for all addresses:", err)
	}
}

// TestEverywhereInIPv4AndIPv6 at the same port.
func TestEverywhereInIPv4AndIPv6(t *testing.T) {
	needIPv6(t)
	w := servertest.New(t)
	https := strings.TrimPrefix(w.URL, "https://")
	_, port, _ := net.SplitHostPort(https)
	alter(t, w, "listen: "+https, fmt.Sprintf(`listen: ["0.0.0.0:%s", "[::]:%[1]s"]`, port))
	for _, host := range []string{"127.0.0.1", "::1"} {
		c, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Error(err)
			continue
		}
		c.Close()
	}
}

// TestOneOfSeveralAddressesIsTaken: then the server does not start, and keeps none of them.
func TestOneOfSeveralAddressesIsTaken(t *testing.T) {
	w := servertest.New(t)
	other := servertest.New(t)
	free, taken := servertest.FreeAddress(t), strings.TrimPrefix(other.URL, "https://")
	w.Stop()
	text, err := os.ReadFile(w.File("brevet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	https := strings.TrimPrefix(w.URL, "https://")
	wrong := strings.Replace(string(text), "listen: "+https, fmt.Sprintf("listen: [%q, %q]", free, taken), 1)
	if err := os.WriteFile(w.File("brevet.yaml"), []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runIn(t, w.Dir); err == nil || !strings.Contains(err.Error(), "listening on "+taken+", as brevet.yaml says") {
		t.Errorf("got %v", err)
	}
	l, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatal("the other address is still listened on:", err)
	}
	l.Close()
	if err := os.WriteFile(w.File("brevet.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Start()
}

// runIn runs the server of a directory that cannot start.
func runIn(t *testing.T, dir string) error {
	t.Helper()
	s, err := server.New(server.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return s.Run(t.Context())
}

// TestSocketsAreClosed also when another address cannot be listened on.
func TestSocketsAreClosed(t *testing.T) {
	w, other := servertest.New(t), servertest.New(t)
	w.Stop()
	text, err := os.ReadFile(w.File("brevet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	taken := regexp.MustCompile(`listen_http: .*`).ReplaceAllString(string(text), "listen_http: "+strings.TrimPrefix(other.HTTP, "http://"))
	for range 8 { // the order in which the server listens is not fixed
		if err := os.WriteFile(w.File("brevet.yaml"), []byte(taken), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.New(server.Config{Dir: w.Dir, Log: slog.New(slog.DiscardHandler), Sockets: map[string][]net.Listener{"https": {l}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context()); err == nil {
			t.Fatal("it runs")
		}
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			c.Close()
			t.Fatal("the socket is open")
		}
	}
	if err := os.WriteFile(w.File("brevet.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Start()
}
