// Package limit bounds what strangers can take: how many requests of one sender may be
// refused in a while (see package admission), how many connections are open, how much of
// request bodies is in memory, and how much memory the process has.
package limit

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
)

const (
	// maxConnections bounds the memory of connections: an idle one takes 31 kB.
	maxConnections = 16 << 10
	// reservedFiles is how many file descriptors are kept from connections from the
	// network, for the store, key files and operators. A client that uses up all others
	// must not keep operators from suspending an agent.
	reservedFiles = 100
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
// there is no room for a new connection, the one that has been idle for longest goes. If
// none is idle, a new one of an address that has its share is closed, and others wait
// in the kernel's queue.
//
// [Listener.ConnState] must be told of changes of the connections' states.
type Listener struct {
	net.Listener
	max, share int

	mu     sync.Mutex
	room   *sync.Cond
	closed bool
	open   int
	idle   *list.List // of *conn; the longest idle first
	peers  map[netip.Addr]*holder
}

// A holder is an address with its connections.
type holder struct {
	addr netip.Addr
	open int
	idle *list.List // of *conn
}

// A conn is idle while no request is under way on it.
type conn struct {
	net.Conn
	from      *holder
	all, mine *list.Element // in the lists of the listener and the holder, while idle
	leave     func()
}

// NewListener returns l with room for n connections.
func NewListener(l net.Listener, n int) *Listener {
	b := &Listener{Listener: l, max: max(n, 2), share: max(n/2, 1), idle: list.New(), peers: map[netip.Addr]*holder{}}
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
func (l *Listener) Accept() (net.Conn, error) {
	for {
		bare, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.admit(bare); c != nil {
			return c, nil
		}
		bare.Close()
	}
}

// admit returns the connection once there is room for it, or nil.
func (l *Listener) admit(bare net.Conn) *conn {
	c := &conn{Conn: bare}
	addr := holderOf(bare)
	for {
		l.mu.Lock()
		h := l.holder(addr)
		var victim *list.Element
		switch {
		case l.closed, addr.IsValid() && h.open >= l.share && h.idle.Len() == 0:
			l.drop(h)
			l.mu.Unlock()
			return nil
		case addr.IsValid() && h.open >= l.share:
			victim = h.idle.Front()
		case l.open < l.max:
			l.enter(c, h)
			l.mu.Unlock()
			return c
		case l.idle.Len() > 0:
			victim = l.idle.Front()
		default:
			l.room.Wait()
		}
		l.drop(h)
		l.mu.Unlock()
		if victim != nil {
			victim.Value.(*conn).Close()
		}
	}
}

func (l *Listener) holder(addr netip.Addr) *holder {
	h := l.peers[addr]
	if h == nil {
		h = &holder{addr: addr, idle: list.New()}
		l.peers[addr] = h
	}
	return h
}

func (l *Listener) drop(h *holder) {
	if h.open == 0 {
		delete(l.peers, h.addr)
	}
}

// enter counts c, which is idle until its first request has begun.
func (l *Listener) enter(c *conn, h *holder) {
	l.open++
	h.open++
	c.from = h
	c.leave = sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.setIdle(c, false)
		l.open--
		h.open--
		l.drop(h)
		l.room.Signal()
	})
	l.setIdle(c, true)
}

func (l *Listener) setIdle(c *conn, idle bool) {
	switch {
	case idle && c.all == nil:
		c.all, c.mine = l.idle.PushBack(c), c.from.idle.PushBack(c)
		l.room.Signal() // it can go
	case !idle && c.all != nil:
		l.idle.Remove(c.all)
		c.from.idle.Remove(c.mine)
		c.all, c.mine = nil, nil
	}
}

// ConnState is for [http.Server.ConnState].
func (l *Listener) ConnState(n net.Conn, s http.ConnState) {
	if t, ok := n.(*tls.Conn); ok {
		n = t.NetConn()
	}
	c, ok := n.(*conn)
	if !ok || s != http.StateIdle && s != http.StateActive {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setIdle(c, s == http.StateIdle)
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.room.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
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
