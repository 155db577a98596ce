// Package limit bounds what strangers can take: how many requests of one sender may be
// refused in a while (see package admission), how many connections are open, how much of
// request bodies is in memory, and how much memory the process has.
package limit

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// maxConnections bounds the memory of connections: an idle one takes 31 kB.
	maxConnections = 16 << 10
	// reservedFiles is how many file descriptors are kept from connections from the
	// network, for the store, key files and operators. A client that uses up all others
	// must not keep operators from suspending an agent.
	reservedFiles = 100
	// patience is how long a connection on which the server works keeps its place from an
	// address that has fewer. The requests of healthy clients are answered within
	// milliseconds, or within the time that an external policy engine has.
	patience = 5 * time.Second
)

// Connections returns how many connections from the network the process has room for.
func Connections() int {
	n := maxConnections
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur < uint64(n+reservedFiles) {
		n = max(int(files.Cur)-reservedFiles, int(files.Cur)/2)
	}
	return n
}

// A Listener has room for a number of connections, and each address for half of it. When
// there is no room for a new connection, the one that has been idle for longest goes. A
// connection is busy while the server works on a whole request. Until then it is idle,
// in a TLS handshake, header or body, too: a client that is slow there delays nobody.
//
// It may share its room with listeners at other addresses, see [Listener.Also].
//
// If none is idle, the next connection waits, and those behind it in the kernel's queue do.
// It gets the place of the first that becomes idle, or, if its address has fewer than
// others, of one that has been busy for long. Other new connections are closed.
//
// An [http.Server] on it needs [Listener.ConnState], [Listener.ConnContext] and a handler
// of [Bodies].
type Listener struct {
	net.Listener
	max, share int
	patience   time.Duration
	turn       sync.Mutex // one connection at a time waits for room

	mu     sync.Mutex
	room   *sync.Cond
	wanted bool // a connection waits for the place of one that becomes idle
	closed bool
	open   int
	idle   line // the longest idle first
	peers  map[netip.Addr]*holder
}

// NewListener returns l with room for n connections.
func NewListener(l net.Listener, n int) *Listener {
	b := &Listener{Listener: l, max: max(n, 2), share: max(n/2, 1), patience: patience, peers: map[netip.Addr]*holder{}}
	b.room = sync.NewCond(&b.mu)
	return b
}

// Open returns how many connections are open.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) { return l.accept(l.Listener) }

func (l *Listener) accept(from net.Listener) (net.Conn, error) {
	for {
		bare, err := from.Accept()
		if err != nil {
			return nil, err
		}
		l.turn.Lock()
		c := l.admit(bare)
		l.turn.Unlock()
		if c != nil {
			return c, nil
		}
		bare.Close()
	}
}

// ConnState is for [http.Server.ConnState].
func (l *Listener) ConnState(n net.Conn, s http.ConnState) {
	c := ours(n)
	if c == nil || s != http.StateIdle && s != http.StateActive {
		return
	}
	l.mu.Lock()
	c.active = s == http.StateActive
	goes := !c.active && l.wanted
	if !c.active {
		l.setIdle(c, true)
	}
	if goes { // now: its next request may be here already
		l.wanted = false
	}
	l.mu.Unlock()
	if goes {
		c.Close()
	}
}

type connKey struct{}

// ConnContext is for [http.Server.ConnContext].
func (l *Listener) ConnContext(ctx context.Context, n net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, ours(n))
}

// ours returns the connection of a Listener below n, or nil.
func ours(n net.Conn) *conn {
	if t, ok := n.(*tls.Conn); ok {
		n = t.NetConn()
	}
	c, _ := n.(*conn)
	return c
}

// connOf returns the connection that a request came on, or nil.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

// work makes c busy, because a request on it is whole. A client of HTTP/2 may have given
// up the request meanwhile.
func (c *conn) work() {
	if c == nil {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.active {
		c.of.setIdle(c, false)
	}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.end()
	return l.Listener.Close()
}

// end has nobody wait for room.
func (l *Listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.room.Broadcast()
}

// Close leaves the listener's room, too.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// holderOf returns the address that a connection counts under: with IPv6, that of the
// site.
func holderOf(c net.Conn) netip.Addr {
	port, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	addr := port.Addr().Unmap().WithZone("")
	if addr.Is6() {
		p, _ := addr.Prefix(48)
		return p.Addr()
	}
	return addr
}
