// Package limit bounds the work that strangers can cause: how many requests of one sender
// may be refused in a while (see package admission), and how many connections are open at
// once.
package limit

import (
	"net"
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

// A listener accepts a connection when there is room for one. Until
// then, clients wait in the kernel's queue.
type listener struct {
	net.Listener
	room   chan struct{} // has an element for each connection; listeners may share it
	closed chan struct{}
	close  func() error
}

// NewRoom returns the room for the connections of all listeners.
func NewRoom() chan struct{} {
	n := maxConnections
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur < uint64(n+reservedFiles) {
		n = max(int(files.Cur)-reservedFiles, int(files.Cur)/2)
	}
	return make(chan struct{}, n)
}

// Bounded returns l, which accepts only as many connections as there is room for.
func Bounded(l net.Listener, room chan struct{}) net.Listener {
	b := &listener{Listener: l, room: room, closed: make(chan struct{})}
	b.close = sync.OnceValue(func() error {
		close(b.closed)
		return l.Close()
	})
	return b
}

// Accept implements [net.Listener].
func (b *listener) Accept() (net.Conn, error) {
	select {
	case b.room <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	leave := sync.OnceFunc(func() { <-b.room })
	c, err := b.Listener.Accept()
	if err != nil {
		leave()
		return nil, err
	}
	return &conn{c, leave}, nil
}

// Close implements [net.Listener].
func (b *listener) Close() error { return b.close() }

// A conn leaves its room when it is closed.
type conn struct {
	net.Conn
	leave func()
}

func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
