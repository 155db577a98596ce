package admin

import (
	"errors"
	"net"
	"sync"
)

// maxOpen is how many connections a user whom brevet.yaml lists may have open: more than
// commands and followers of the log need, and so few that nobody takes those of the
// others. Root and the server's user have no such limit.
const maxOpen = 32

var (
	errStranger = errors.New("it is for root, the server's user and the operators in brevet.yaml")
	errTooMany  = errors.New("the operator has too many connections open")
)

// hold counts a connection of a user until it is closed. It fails if there are too many.
func (l *listener) hold(c net.Conn, uid int) (net.Conn, error) {
	unix, ok := c.(*net.UnixConn)
	if !ok || l.others.principal(uid).Person == "" {
		return c, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[uid] >= maxOpen {
		return c, errTooMany
	}
	l.open[uid]++
	return &held{UnixConn: unix, release: sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open[uid]--
	})}, nil
}

// A held connection is counted.
type held struct {
	*net.UnixConn
	release func()
}

func (h *held) Close() error {
	defer h.release()
	return h.UnixConn.Close()
}
