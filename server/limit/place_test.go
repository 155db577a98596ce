package limit

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

const slow = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na"

// full serves with room for 20 connections, and has two addresses take all of it with
// requests that do not end.
func full(t *testing.T) *Listener {
	t.Helper()
	l := serve(t, 20, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	})
	l.patience = 100 * time.Millisecond
	for range 10 {
		for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
			io.WriteString(dial(t, l, from), slow)
		}
	}
	waitFor(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.open == 20 && l.idle.n == 0 })
	return l
}

// TestTwoAddressesKeepNobodyOut by connections that are all busy with slow bodies, even if
// they come again at once.
func TestTwoAddressesKeepNobodyOut(t *testing.T) {
	l := full(t)
	stop := make(chan struct{})
	defer close(stop)
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		go func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Second}
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				if c, err := d.Dial("tcp", l.Addr().String()); err == nil {
					defer c.Close()
					io.WriteString(c, slow)
				}
			}
		}()
	}
	var kept []*client
	for i := range 5 {
		c := dial(t, l, fmt.Sprintf("127.0.0.%d", 4+i))
		if got := c.get("/"); got != good {
			t.Fatalf("other address %d: %s", i, got)
		}
		kept = append(kept, c)
	}
	if got := kept[4].get("/"); got != good {
		t.Errorf("on the same connection: %s", got)
	}
	if n := l.Open(); n > 20 {
		t.Errorf("%d connections are open", n)
	}
}

// TestYoungRequestsKeepTheirPlace: a request is not ended for another until it has taken
// long.
func TestYoungRequestsKeepTheirPlace(t *testing.T) {
	l := full(t)
	l.mu.Lock()
	l.patience = time.Minute
	l.mu.Unlock()
	c := dial(t, l, "127.0.0.4")
	c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if got := c.get("/"); got == good {
		t.Errorf("a place was taken: %s", got)
	}
}

// TestStatesAllocateNothing: each request changes the state of its connection twice.
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
		l.ConnState(c, http.StateIdle)
	}); n > 0 {
		t.Errorf("a request allocates %v times", n)
	}
}
