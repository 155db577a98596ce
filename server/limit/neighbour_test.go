package limit

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// besides serves at one more address, in the room of l.
func besides(t *testing.T, l *Listener, srv *http.Server) net.Listener {
	t.Helper()
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	also := l.Also(bare)
	t.Cleanup(func() { also.Close() })
	go srv.Serve(also)
	return also
}

// TestNeighboursShareOneRoom: an address has its share once, not at each listener.
func TestNeighboursShareOneRoom(t *testing.T) {
	l := serve(t, 20, func(http.ResponseWriter, *http.Request) {})
	var b Bodies
	srv := &http.Server{Handler: b.Handler(http.NotFoundHandler()), ConnState: l.ConnState, ConnContext: l.ConnContext}
	also := besides(t, l, srv)
	there := &Listener{Listener: also} // for dial, which asks for the address alone
	for range 15 {
		if got := dial(t, l, "127.0.0.2").get("/"); got != good {
			t.Fatal(got)
		}
		if got := dial(t, there, "127.0.0.2").get("/"); got != "404 Not Found" {
			t.Fatal(got)
		}
	}
	if n := l.Open(); n != 10 {
		t.Errorf("%d connections are open, want the 10 of one address", n)
	}
	for range 10 {
		dial(t, there, "127.0.0.3").get("/")
	}
	if got := dial(t, there, "127.0.0.4").get("/"); got != "404 Not Found" {
		t.Error("in a full room:", got)
	}
	if n := l.Open(); n != 20 {
		t.Errorf("%d connections are open, want 20", n)
	}
}

// TestNeighboursWaitInTurn: connections at both addresses wait for room, get it when there is
// some, and the listeners close while others wait.
func TestNeighboursWaitInTurn(t *testing.T) {
	l := full(t)
	srv := &http.Server{Handler: http.NotFoundHandler(), ConnState: l.ConnState, ConnContext: l.ConnContext}
	there := &Listener{Listener: besides(t, l, srv)}
	answers := make(chan string, 2)
	for _, at := range []*Listener{l, there} {
		c := dial(t, at, "127.0.0.4")
		go func() { answers <- c.get("/") }()
	}
	waitFor(t, l.waiting)
	time.Sleep(10 * time.Millisecond)
	if len(answers) > 0 {
		t.Error("answered without room")
	}
	l.mu.Lock()
	l.patience = 0
	l.room.Signal()
	l.mu.Unlock()
	if one, other := <-answers, <-answers; one == "closed" && other == "closed" { // one may go for the other before its request is whole
		t.Error("there was room for neither")
	}
	l.mu.Lock()
	l.patience = time.Hour
	l.mu.Unlock()
	dial(t, there, "127.0.0.5")
	closed := make(chan bool)
	go func() { l.Close(); there.Listener.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("a listener does not close")
	}
}
