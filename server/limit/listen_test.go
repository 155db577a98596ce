package limit

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// serve serves h on loopback with room for n connections.
func serve(t *testing.T, n int, h http.HandlerFunc) *Listener {
	t.Helper()
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(bare, n)
	var b Bodies
	srv := &http.Server{Handler: b.Handler(h), ConnState: l.ConnState, ConnContext: l.ConnContext}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l
}

// A client has a connection from an address of its own.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, l *Listener, from string) *client {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{c, bufio.NewReader(c)}
}

// get returns the status of an answer, or "closed".
func (c *client) get(path string) string {
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	r, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "closed"
	}
	io.Copy(io.Discard, r.Body)
	return r.Status
}

const good = "200 OK"

// TestIdleConnectionsMakeRoom: one address cannot keep others out, nor its own neighbours,
// by connections on which nothing happens.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	l := serve(t, 20, func(http.ResponseWriter, *http.Request) {})
	var all []*client
	for i := range 60 {
		c := dial(t, l, "127.0.0.2")
		if i%2 == 0 { // the others never say anything
			if got := c.get("/"); got != good {
				t.Fatalf("connection %d: %s", i, got)
			}
		}
		all = append(all, c)
	}
	if got := dial(t, l, "127.0.0.3").get("/"); got != good {
		t.Errorf("another address: %s", got)
	}
	if got := dial(t, l, "127.0.0.2").get("/"); got != good {
		t.Errorf("the same address: %s", got)
	}
	if n := l.Open(); n > 11 {
		t.Errorf("%d connections are open, want 10 of the one address and 1 of the other", n)
	}
	if all[0].get("/") == good || all[58].get("/") != good {
		t.Error("it was not the oldest that went")
	}
}

// TestBusyConnectionsStay: an address with its share of busy connections gets no more. The
// others get theirs, and the oldest idle one makes room for them.
func TestBusyConnectionsStay(t *testing.T) {
	release := make(chan struct{})
	l := serve(t, 20, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
	})
	var busy []*client
	for range 10 {
		c := dial(t, l, "127.0.0.2")
		fmt.Fprint(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
		busy = append(busy, c)
	}
	waitFor(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.open == 10 && l.idle.n == 0 })
	if got := dial(t, l, "127.0.0.2").get("/"); got != "closed" {
		t.Errorf("one more of that address: %s", got)
	}
	for i := range 30 {
		if got := dial(t, l, fmt.Sprintf("127.0.0.%d", 3+i)).get("/"); got != good {
			t.Errorf("other address %d: %s", i, got)
		}
	}
	if n := l.Open(); n > 20 {
		t.Errorf("%d connections are open", n)
	}
	close(release)
	for _, c := range busy {
		if r, err := http.ReadResponse(c.r, nil); err != nil || r.StatusCode != 200 {
			t.Errorf("a busy connection was closed: %v", err)
		}
	}
}

// TestLastConnectionWaits while all are busy, and ends with the listener.
func TestLastConnectionWaits(t *testing.T) {
	release := make(chan struct{})
	l := serve(t, 4, func(http.ResponseWriter, *http.Request) { <-release })
	for i := range 4 {
		fmt.Fprint(dial(t, l, fmt.Sprintf("127.0.0.%d", 2+i)), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	waitFor(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.open == 4 && l.idle.n == 0 })
	answered := make(chan string)
	last := dial(t, l, "127.0.0.9")
	go func() { answered <- last.get("/") }()
	select {
	case got := <-answered:
		t.Fatalf("answered without room: %s", got)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if got := <-answered; got != good {
		t.Errorf("when there was room: %s", got)
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

// TestUnfinishedBodiesAreBounded: the oldest is given up, and whole ones go on.
func TestUnfinishedBodiesAreBounded(t *testing.T) {
	var b Bodies
	h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	l := serve(t, 1000, h.ServeHTTP)
	const size, n = 64 << 10, 300
	var held []*client
	for range n {
		c := dial(t, l, "127.0.0.2")
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("a", size-1))
		held = append(held, c)
	}
	waitFor(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.held > maxBodies-2*size && b.open.Len() < n })
	if b.mu.Lock(); b.held > maxBodies {
		t.Errorf("%d bytes are held", b.held)
	}
	b.mu.Unlock()
	c := dial(t, l, "127.0.0.3")
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	if r, err := http.ReadResponse(c.r, nil); err != nil || r.StatusCode != 200 {
		t.Errorf("a whole body: %v", err)
	}
	if r, err := http.ReadResponse(held[0].r, nil); err != nil || r.StatusCode != http.StatusBadRequest {
		t.Errorf("the oldest: %v, %v", r, err)
	}
	last := held[n-1]
	fmt.Fprint(last, "a")
	if r, err := http.ReadResponse(last.r, nil); err != nil || r.StatusCode != 200 {
		t.Errorf("the newest, once whole: %v", err)
	}
	waitFor(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.open.Len() < n/2 })
}
