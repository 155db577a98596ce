package proxyprotocol

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	hello = "\x16\x03\x01 and so on" // what a client may say in TLS
	line  = "PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n"
)

// A log may be written to while it is read.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// listen listens on loopback for these proxies.
func listen(t *testing.T, proxies ...string) (*Listener, *log) {
	t.Helper()
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all []netip.Prefix
	for _, p := range proxies {
		all = append(all, netip.MustParsePrefix(p))
	}
	said := new(log)
	l := NewListener(bare, all, slog.New(slog.NewTextHandler(said, nil)))
	t.Cleanup(func() { l.Close() })
	return l, said
}

func dial(t *testing.T, l net.Listener, from, says string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, says); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantHello accepts a connection and wants what its client said behind the header.
func wantHello(t *testing.T, l net.Listener, from string) {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.RemoteAddr().String(); got != from && !strings.HasPrefix(got, from+":") {
		t.Errorf("the connection comes from %s, want %s", got, from)
	}
	said := make([]byte, len(hello))
	if _, err := io.ReadFull(c, said); err != nil || string(said) != hello {
		t.Errorf("got %q, %v, want %q", said, err, hello)
	}
}

// wantClosed wants that the other side closes the connection, and says nothing.
func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the connection is open")
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Error("the connection is still open")
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not happen")
}

func TestListedProxies(t *testing.T) {
	l, _ := listen(t, "127.0.0.2/32", "127.1.0.0/16")
	dial(t, l, "127.0.0.2", line+hello)
	wantHello(t, l, "198.51.100.7:4711")
	dial(t, l, "127.1.2.3", string(binaryHeader(versionProxy, overTCP6, six))+hello)
	wantHello(t, l, "[2001:db8::1]:1")
	dial(t, l, "127.0.0.2", string(binaryHeader(versionLocal, 0, nil))+hello)
	wantHello(t, l, "127.0.0.2")
	dial(t, l, "127.0.0.3", hello)
	wantHello(t, l, "127.0.0.3")
}

// TestHeaderIsRequired from a listed proxy: a connection without one is closed and not
// accepted.
func TestHeaderIsRequired(t *testing.T) {
	l, said := listen(t, "127.0.0.2/32")
	l.patience = 100 * time.Millisecond // the last one of them is short
	accepting := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		accepting <- err
	}()
	for _, says := range []string{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "PROXY UNKNOWN\r\n" + hello, line[:20] + "\n" + strings.Repeat("x", 100), hello} {
		wantClosed(t, dial(t, l, "127.0.0.2", says))
	}
	waitFor(t, func() bool { return strings.Contains(said.String(), "no good PROXY header") })
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("%d lines are logged: %s", n, said)
	}
	l.Close()
	if err := <-accepting; err == nil {
		t.Error("a connection without a header was accepted")
	}
}

// TestHeaderIsRefused from everybody else, whether proxies are listed or not.
func TestHeaderIsRefused(t *testing.T) {
	for _, proxies := range [][]string{nil, {"127.0.0.2/32"}} {
		l, said := listen(t, proxies...)
		for _, header := range []string{line, string(binaryHeader(versionProxy, overTCP4, four)), string(binaryHeader(versionLocal, 0, nil))} {
			c := dial(t, l, "127.0.0.3", header+hello)
			got, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if addr := got.RemoteAddr().String(); !strings.HasPrefix(addr, "127.0.0.3:") {
				t.Errorf("the connection comes from %s", addr)
			}
			if n, err := got.Read(make([]byte, 1000)); n > 0 || err == nil || !strings.Contains(err.Error(), "proxy_protocol in brevet.yaml does not list: 127.0.0.3") {
				t.Errorf("%q: read %d octets, %v", header, n, err)
			}
			got.Close()
			wantClosed(t, c)
		}
		if s := said.String(); !strings.Contains(s, `level=WARN msg="a PROXY header was refused" from=127.0.0.3`) || strings.Count(s, "\n") != 1 {
			t.Errorf("the log is %s", s)
		}
		dial(t, l, "127.0.0.3", hello)
		wantHello(t, l, "127.0.0.3")
	}
}

// held returns how many connections of proxies wait.
func (l *Listener) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.line.reading) + len(l.line.settled)
}

// TestSlowProxiesDelayNobody: one proxy has many connections that say nothing, or not
// everything. Other proxies and clients are accepted at once, and the number is bounded.
func TestSlowProxiesDelayNobody(t *testing.T) {
	for _, says := range []string{"", "PROXY TCP4 198.51.100", string(binaryHeader(versionProxy, overTCP4, four)[:20])} {
		l, _ := listen(t, "127.0.0.2/31", "127.0.0.4/32")
		l.begin.Do(func() { go l.run() })
		slow := dial(t, l, "127.0.0.4", "") // the oldest, of an address that has few
		var all []net.Conn
		for range 3 * MaxWaiting {
			all = append(all, dial(t, l, "127.0.0.2", says))
		}
		waitFor(t, func() bool { return l.held() == MaxWaiting })
		dial(t, l, "127.0.0.3", line+hello)
		wantHello(t, l, "198.51.100.7")
		dial(t, l, "127.0.0.9", hello)
		wantHello(t, l, "127.0.0.9")
		if _, err := io.WriteString(slow, line+hello); err != nil {
			t.Fatal(err)
		}
		wantHello(t, l, "198.51.100.7")
		wantClosed(t, all[0])
		if _, err := io.WriteString(all[len(all)-1], (line + hello)[len(says):]); err != nil || says == "" {
			wantHello(t, l, "198.51.100.7")
		}
	}
}

// TestSlowHeaderEnds, even if an octet comes now and then.
func TestSlowHeaderEnds(t *testing.T) {
	l, said := listen(t, "127.0.0.2/32")
	l.patience = 100 * time.Millisecond
	go l.Accept()
	c := dial(t, l, "127.0.0.2", "")
	begun := time.Now()
	for i := range len(line) {
		if _, err := io.WriteString(c, line[i:i+1]); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(begun); took > 700*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	waitFor(t, func() bool { return l.held() == 0 && strings.Contains(said.String(), "timeout") })
}

// TestWholeHeadersWaitToBeAccepted: they are not given up for others, which wait in the
// kernel's queue, and all are accepted in the end.
func TestWholeHeadersWaitToBeAccepted(t *testing.T) {
	l, _ := listen(t, "127.0.0.2/32")
	l.begin.Do(func() { go l.run() })
	const n = MaxWaiting + 20
	for range n {
		dial(t, l, "127.0.0.2", line+hello)
	}
	waitFor(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.line.settled) == MaxWaiting })
	for range n {
		wantHello(t, l, "198.51.100.7")
	}
	waitFor(t, func() bool { return l.held() == 0 })
}

// TestCloseEndsTheWaiting: all connections that were not accepted are closed.
func TestCloseEndsTheWaiting(t *testing.T) {
	l, _ := listen(t, "127.0.0.2/32")
	l.begin.Do(func() { go l.run() })
	conns := []net.Conn{dial(t, l, "127.0.0.2", ""), dial(t, l, "127.0.0.2", line), dial(t, l, "127.0.0.2", line[:9])}
	waitFor(t, func() bool { return l.held() == len(conns) })
	conns = append(conns, dial(t, l, "127.0.0.3", hello)) // which run offers
	time.Sleep(20 * time.Millisecond)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range conns {
		wantClosed(t, c)
	}
	waitFor(t, func() bool { return l.held() == 0 })
	if _, err := l.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}
