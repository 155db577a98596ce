package proxyprotocol

import (
	"net"
	"net/netip"
	"slices"
	"time"
)

// A waiter is a connection of a proxy that was not accepted yet.
type waiter struct {
	net.Conn
	from  netip.Addr
	since time.Time
}

// grace is how long a connection keeps its place from a new one. The headers of healthy
// proxies come with the connection.
const grace = 100 * time.Millisecond

// waiting are the connections of proxies that were not accepted yet.
type waiting struct {
	reading []*waiter // whose header is not read, the oldest first
	settled []*waiter // whose header is read
}

func (q *waiting) full() bool { return len(q.reading)+len(q.settled) >= MaxWaiting }

// victim takes out the oldest connection without a header of the address that has most of
// these. It returns nil if none has had time for a header.
func (q *waiting) victim() *waiter {
	counts, most := map[netip.Addr]int{}, 0
	for _, w := range q.reading {
		counts[w.from]++
		most = max(most, counts[w.from])
	}
	i := slices.IndexFunc(q.reading, func(w *waiter) bool { return counts[w.from] == most })
	if i < 0 || time.Since(q.reading[i].since) < grace {
		return nil
	}
	w := q.reading[i]
	q.reading = slices.Delete(q.reading, i, i+1)
	return w
}

func (q *waiting) closeAll() {
	for _, w := range q.reading {
		w.Close()
	}
	q.reading = nil // the others are closed by whoever offers them
}

// enter has a connection wait for its header. If there is no room, another one goes, or the
// connection waits until one is accepted. It returns nil if the listener was closed.
func (l *Listener) enter(c net.Conn) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.isClosed() && l.line.full() {
		if victim := l.line.victim(); victim != nil {
			victim.Close()
		} else {
			l.await()
		}
	}
	if l.isClosed() {
		c.Close()
		return nil
	}
	w := &waiter{c, addressOf(c), time.Now()}
	l.line.reading = append(l.line.reading, w)
	return w
}

// await waits until a connection leaves, or may have become old.
func (l *Listener) await() {
	look := time.AfterFunc(grace, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.left.Signal()
	})
	defer look.Stop()
	l.left.Wait()
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// settle says that the header is read, or is missing. It reports whether the
// connection still has its place.
func (l *Listener) settle(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.line.reading, w)
	if i < 0 {
		return false
	}
	l.line.reading = slices.Delete(l.line.reading, i, i+1)
	l.line.settled = append(l.line.settled, w)
	return true
}

// leave gives up the place of a connection that was accepted or refused.
func (l *Listener) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.line.settled, w); i >= 0 {
		l.line.settled = slices.Delete(l.line.settled, i, i+1)
	}
	l.left.Signal()
}
