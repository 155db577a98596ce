// Package proxyprotocol takes the addresses of clients from proxies that pass TCP through
// (the PROXY protocol, versions 1 and 2: https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt).
//
// The listed proxies are trusted to say who the client is, so each of their connections must
// begin with a header. From every other address a header is refused: it would let anybody
// pass for somebody else. Headers about anything but TCP over IPv4 or IPv6 are refused.
// The TLVs of version 2 are not used.
package proxyprotocol

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxWaiting is how many connections of proxies a listener has at most whose header is not
// read, or that were not accepted since.
const MaxWaiting = 64

// patience is how long a proxy may take for a header. It sends one at once.
const patience = 5 * time.Second

// A Listener takes the addresses of clients from the headers that listed proxies send. A
// slow header delays no other connection. If too many are slow, the oldest goes of those of
// the address that has most, as soon as it has had time for a header.
type Listener struct {
	net.Listener
	proxies  []netip.Prefix
	patience time.Duration
	refused  refusals

	begin    sync.Once
	accepted chan accepted
	closing  sync.Once
	closed   chan struct{}

	mu   sync.Mutex
	left *sync.Cond // a connection has left
	line waiting
}

type accepted struct {
	conn net.Conn
	err  error
}

// NewListener returns l, with headers required from the proxies and refused from all others.
func NewListener(l net.Listener, proxies []netip.Prefix, log *slog.Logger) *Listener {
	p := &Listener{Listener: l, proxies: proxies, patience: patience, refused: refusals{log: log}, accepted: make(chan accepted), closed: make(chan struct{})}
	p.left = sync.NewCond(&p.mu)
	return p
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	if len(l.proxies) == 0 {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		return &direct{Conn: c, of: l}, nil
	}
	l.begin.Do(func() { go l.run() })
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. Connections that were not accepted are closed, too.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.closing.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(l.closed)
		l.line.closeAll()
		l.left.Broadcast()
	})
	return err
}

// run accepts connections until the listener is closed.
func (l *Listener) run() {
	for {
		c, err := l.Listener.Accept()
		switch {
		case err != nil:
			if !l.offer(accepted{err: err}) {
				return
			}
		case l.isProxy(c):
			if w := l.enter(c); w != nil {
				go l.read(w)
			}
		default:
			l.offer(accepted{conn: &direct{Conn: c, of: l}})
		}
	}
}

// offer waits until somebody accepts what came. It reports whether the listener is still open.
func (l *Listener) offer(a accepted) bool {
	select {
	case l.accepted <- a:
		return true
	case <-l.closed:
		if a.conn != nil {
			a.conn.Close()
		}
		return false
	}
}

// isProxy reports whether a connection comes from a listed proxy.
func (l *Listener) isProxy(c net.Conn) bool {
	from := addressOf(c)
	return slices.ContainsFunc(l.proxies, func(p netip.Prefix) bool { return p.Contains(from) })
}

func addressOf(c net.Conn) netip.Addr {
	port, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return port.Addr().Unmap().WithZone("")
}

// read reads the header of a proxy's connection and offers what is behind it.
func (l *Listener) read(w *waiter) {
	defer l.leave(w)
	w.SetReadDeadline(time.Now().Add(l.patience))
	h, err := readHeader(w)
	if err == nil {
		err = w.SetReadDeadline(time.Time{})
	}
	if !l.settle(w) { // it had to make room, or the listener is closed
		return
	}
	if err != nil {
		w.Close()
		l.refused.note("a listed proxy sent no good PROXY header", w.from, err)
		return
	}
	c := net.Conn(w.Conn)
	if !h.local {
		c = &proxied{Conn: c, client: net.TCPAddrFromAddrPort(h.client)}
	}
	l.offer(accepted{conn: c})
}

// A proxied connection is one whose client is at the other end of a proxy.
type proxied struct {
	net.Conn
	client *net.TCPAddr
}

func (c *proxied) RemoteAddr() net.Addr { return c.client }

// A direct connection is one of a client that must not send a header.
type direct struct {
	net.Conn
	of    *Listener
	begun bool // something has been read
}

var errUnlisted = errors.New("a PROXY header from an address that proxy_protocol in brevet.yaml does not list")

// Read refuses a header. A line of version 1 may come in pieces, and is nothing that TLS or
// HTTP would take.
func (c *direct) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 || c.begun {
		return n, err
	}
	c.begun = true
	if p[0] == signature[0] || strings.HasPrefix(string(p[:n]), word) {
		c.Close()
		c.of.refused.note("a PROXY header was refused", addressOf(c), errUnlisted)
		return 0, fmt.Errorf("%w: %s", errUnlisted, addressOf(c))
	}
	return n, err
}
