package limit

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// A holder is an address with its connections.
type holder struct {
	addr       netip.Addr
	open       int
	idle, busy line
}

// A conn is idle or busy, as [Listener] says.
type conn struct {
	net.Conn
	of     *Listener
	from   *holder
	active bool      // a request has begun
	since  time.Time // it is idle, or busy
	links  [lineKinds]link
	left   bool
	leave  func()
}

// admit returns the connection once there is room for it, or nil.
func (l *Listener) admit(bare net.Conn) *conn {
	addr := holderOf(bare)
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		l.wanted = false
		h := l.holder(addr)
		hasShare := addr.IsValid() && h.open >= l.share
		if !hasShare && l.open < l.max {
			return l.enter(bare, h)
		}
		victim := h.idle.first
		if !hasShare {
			hasShare = addr.IsValid() && h.open >= l.fair()
			victim = l.victim(h, hasShare)
		}
		l.drop(h)
		switch {
		case victim != nil:
			l.mu.Unlock()
			victim.Close()
			l.mu.Lock()
		case hasShare:
			return nil
		default:
			l.wanted = true
			l.wait()
		}
	}
	return nil
}

// fair is how many connections each address has if there is no room for more and all
// have as many.
func (l *Listener) fair() int { return max(l.max/len(l.peers), 1) }

// victim returns the connection that makes room for one of h, or nil. An idle one goes
// first. An address that has its fair share does not get the place of one that was opened
// just now. Any other address gets the place of the one that is busy for longest, of those
// of the address that has the most.
func (l *Listener) victim(h *holder, hasShare bool) *conn {
	old := time.Now().Add(-l.patience)
	idle := l.idle.first
	switch {
	case idle != nil && (!hasShare || idle.since.Before(old)):
		return idle
	case hasShare:
		return h.idle.first
	}
	most := h
	for _, other := range l.peers {
		if other.open > most.open {
			most = other
		}
	}
	if busy := most.busy.first; most.open > h.open+1 && busy != nil && busy.since.Before(old) {
		return busy
	}
	return nil
}

// wait waits for room, or until a busy connection may have become old.
func (l *Listener) wait() {
	look := time.AfterFunc(l.patience/4, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.room.Signal()
	})
	defer look.Stop()
	l.room.Wait()
}

func (l *Listener) holder(addr netip.Addr) *holder {
	h := l.peers[addr]
	if h == nil {
		h = &holder{addr: addr, idle: line{kind: ofHolder}, busy: line{kind: ofHolder}}
		l.peers[addr] = h
	}
	return h
}

func (l *Listener) drop(h *holder) {
	if h.open == 0 {
		delete(l.peers, h.addr)
	}
}

// enter counts the connection, which is idle until its first request is whole.
func (l *Listener) enter(bare net.Conn, h *holder) *conn {
	l.open++
	h.open++
	c := &conn{Conn: bare, of: l, from: h}
	c.leave = sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		c.leaveLine(everybody)
		c.leaveLine(ofHolder)
		c.left = true
		l.open--
		h.open--
		l.drop(h)
		l.room.Signal()
	})
	l.setIdle(c, true)
	return c
}

// setIdle does nothing for a connection that has left, or is so already.
func (l *Listener) setIdle(c *conn, idle bool) {
	to := &c.from.busy
	if idle {
		to = &c.from.idle
	}
	if c.left || c.links[ofHolder].in == to {
		return
	}
	c.leaveLine(everybody)
	c.leaveLine(ofHolder)
	c.since = time.Now()
	to.join(c)
	if idle {
		l.idle.join(c)
		l.room.Signal() // it can go
	}
}
