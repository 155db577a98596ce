package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// dialFrom connects from an address of loopback and sends a header first.
func dialFrom(t *testing.T, to, from, header string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), Timeout: 5 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprint(c, header); err != nil {
		t.Fatal(err)
	}
	return c
}

// throughProxy has a client connect through a proxy that says where it is.
func throughProxy(t *testing.T, c *http.Client, proxy, header string) *http.Client {
	t.Helper()
	c.Transport.(*http.Transport).DialContext = func(_ context.Context, _, to string) (net.Conn, error) {
		return dialFrom(t, to, proxy, header), nil
	}
	return c
}

// TestClientsOfAProxy: the audit log and the limits of senders take the address that a listed
// proxy tells. Clients that come directly are served as before.
func TestClientsOfAProxy(t *testing.T) {
	w := servertest.New(t)
	w.Configure("proxy_protocol: [127.0.0.2]\n")
	in := w.Add("bot", agents.Change{})
	far := throughProxy(t, w.Client(), "127.0.0.2", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n")
	bot := &servertest.Agent{World: w, Name: "bot"}
	if a := w.PostJSON(far, "/v1/enroll", map[string]any{"token": in.Enrollment.Token, "csr": bot.CSR(nil)}); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	all := w.Events()
	if e := all[len(all)-1]; e.Action != "certificate.issue" || e.Details.Peer != "198.51.100.7" {
		t.Errorf("the audit log says %+v", e)
	}

	ask := func(c *http.Client) (last int) {
		for range 80 {
			last = w.PostJSON(c, "/v1/enroll", map[string]any{"token": "wrong", "csr": "x"}).Status
		}
		return last
	}
	if got := ask(far); got != http.StatusTooManyRequests {
		t.Errorf("a stranger far away: %d", got)
	}
	beside := throughProxy(t, w.Client(), "127.0.0.2", "PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n")
	for _, c := range []*http.Client{beside, w.Client()} {
		if a := w.PostJSON(c, "/v1/enroll", map[string]any{"token": "wrong", "csr": "x"}); a.Status == http.StatusTooManyRequests {
			t.Error("another client waits for the stranger")
		}
	}
}

// TestProxyThatIsNotListed cannot say who the client is, and a listed one must.
func TestProxyThatIsNotListed(t *testing.T) {
	w := servertest.New(t)
	w.Configure("proxy_protocol: [127.0.0.2]\n")
	https, public := strings.TrimPrefix(w.URL, "https://"), strings.TrimPrefix(w.HTTP, "http://")
	const get, header = "GET /crl/bundle.pem HTTP/1.1\r\nHost: x\r\n\r\n", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n"
	binary := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\xc0\x00\x02\x01\x12\x67\x01\xbb"
	for _, c := range []struct {
		to, from, says string
		served         bool
	}{
		{public, "127.0.0.1", get, true},
		{public, "127.0.0.2", header + get, true},
		{public, "127.0.0.2", binary + get, true},
		{public, "127.0.0.1", header + get, false},
		{public, "127.0.0.3", binary + get, false},
		{public, "127.0.0.2", get, false},
		{https, "127.0.0.1", header, false},
		{https, "127.0.0.1", binary, false},
		{https, "127.0.0.2", get, false},
	} {
		r, err := http.ReadResponse(bufio.NewReader(dialFrom(t, c.to, c.from, c.says)), nil)
		if served := err == nil && r.StatusCode == http.StatusOK; served != c.served || err == nil && !served {
			t.Errorf("%.30q to %s from %s: got %v, %v", c.says, c.to, c.from, r, err)
		}
	}
	if log := w.Log.String(); !strings.Contains(log, `level=WARN msg="a PROXY header was refused" from=127.0.0.1`) || !strings.Contains(log, `level=WARN msg="a listed proxy sent no good PROXY header" from=127.0.0.2`) {
		t.Errorf("the log does not say so: %s", log)
	}
	w.Get(w.Client(), "/healthz")
}
