package limit

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A slowness is what a client says that then goes on slowly, or not at all.
type slowness struct {
	name, says string
	begins     bool // its request
}

var slowClients = []slowness{
	{"a handshake not begun", "", false},
	{"a handshake", "\x16\x03\x01", false}, // of TLS; to the server it is as good as a header
	{"a header", "POST / HTTP/1.1\r\nHo", false},
	{"a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na", true},
	{"a body in chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", true},
}

// TestSlowClientsDelayNobody: two addresses take all the room with connections that are
// slow in one way, and come again at once. Others are served without waiting.
func TestSlowClientsDelayNobody(t *testing.T) {
	for _, slow := range slowClients {
		t.Run(slow.name, func(t *testing.T) {
			begun := make(chan bool, 100)
			l := serve(t, 20, func(_ http.ResponseWriter, r *http.Request) {
				begun <- true
				io.Copy(io.Discard, r.Body)
			})
			l.patience = time.Hour
			for range 10 {
				for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
					io.WriteString(dial(t, l, from), slow.says)
				}
			}
			waitFor(t, func() bool { return l.Open() == 20 && (!slow.begins || len(begun) == 20) })
			var kept []*client
			for i := range 5 {
				c := dial(t, l, fmt.Sprintf("127.0.0.%d", 4+i))
				if got := c.get("/"); got != good {
					t.Fatalf("other address %d: %s", i, got)
				}
				kept = append(kept, c)
				io.WriteString(dial(t, l, "127.0.0.2"), slow.says)
			}
			if got := kept[4].get("/"); got != good {
				t.Errorf("on the same connection: %s", got)
			}
			if n := l.Open(); n > 20 {
				t.Errorf("%d connections are open", n)
			}
			if l.waiting() {
				t.Error("a connection waits")
			}
		})
	}
}

// waiting reports whether a connection waits for a place.
func (l *Listener) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted
}

// full serves with room for 20 connections, and has two addresses take all of it with
// whole requests whose answers take until the test ends.
func full(t *testing.T) *Listener {
	t.Helper()
	release := make(chan struct{})
	l := serve(t, 20, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			io.Copy(io.Discard, r.Body)
			<-release
		}
	})
	t.Cleanup(func() { close(release) })
	l.patience = time.Hour
	for range 10 {
		for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
			io.WriteString(dial(t, l, from), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
		}
	}
	waitFor(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.open == 20 && l.idle.n == 0 })
	return l
}

// TestYoungRequestsKeepTheirPlace: a whole request is not ended for another until it has
// taken long.
func TestYoungRequestsKeepTheirPlace(t *testing.T) {
	l := full(t)
	answered := make(chan string, 1)
	c := dial(t, l, "127.0.0.4")
	go func() { answered <- c.get("/") }()
	waitFor(t, l.waiting)
	if n := l.Open(); n != 20 {
		t.Errorf("%d connections are open", n)
	}
	l.mu.Lock()
	l.patience = 0
	l.room.Signal()
	l.mu.Unlock()
	if got := <-answered; got != good {
		t.Errorf("once they are old: %s", got)
	}
}

// TestIdleOnceIsEnough: a connection goes when it becomes idle while another waits, even if
// its next request is there already.
func TestIdleOnceIsEnough(t *testing.T) {
	l := full(t)
	answered := make(chan string, 1)
	c := dial(t, l, "127.0.0.4")
	go func() { answered <- c.get("/") }()
	waitFor(t, l.waiting)
	l.mu.Lock()
	var goes *conn
	for _, h := range l.peers {
		if h.busy.first != nil {
			goes = h.busy.first
		}
	}
	l.mu.Unlock()
	l.ConnState(goes, http.StateIdle)
	l.ConnState(goes, http.StateActive)
	goes.work()
	if got := <-answered; got != good {
		t.Errorf("the one that waited: %s", got)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !goes.left || l.open != 20 {
		t.Errorf("it is gone: %v; %d are open", goes.left, l.open)
	}
}

// TestStatesAllocateNothing: each request changes the state of its connection three times.
func TestStatesAllocateNothing(t *testing.T) {
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	l := NewListener(bare, 20)
	go net.Dial("tcp", bare.Addr().String())
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n := testing.AllocsPerRun(100, func() {
		l.ConnState(c, http.StateActive)
		c.(*conn).work()
		l.ConnState(c, http.StateIdle)
	}); n > 0 {
		t.Errorf("a request allocates %v times", n)
	}
}
