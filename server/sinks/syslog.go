package sinks

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/storage/audit"
)

const (
	dialTime = 10 * time.Second
	sendTime = 30 * time.Second // for one chunk of events
)

// settleTime is how long a connection must last after a message so that the message counts
// as arrived: time for the receiver to read what its kernel has acknowledged. Tests shorten it.
var settleTime = 5 * time.Second

// A syslogConn is a connection to a syslog server. Syslog has no answers, so a message counts
// as arrived when the receiver's kernel has acknowledged it and the connection has lasted a
// while since then, or when the receiver has closed the connection after the last message.
// The other messages are sent again over the next connection.
type syslogConn struct {
	net.Conn
	wire   *counting
	encode func([]byte, *audit.Event) []byte
	host   string
	ended  chan struct{} // closed when the receiver ends the connection

	mu       sync.Mutex // protects these
	sent     []mark     // not known to have arrived, the oldest first
	next     int64      // what arrived answers
	read     bool       // the receiver ended the connection and left nothing unread
	finished bool       // all that was sent has arrived
}

// A mark is a position in the log and where it is in the stream.
type mark struct {
	next   int64
	octets int64
	at     time.Time
}

// newSyslog returns what connects to a syslog server.
func newSyslog(c Config, from From) (func(context.Context) (conn, error), error) {
	u, err := url.Parse(c.Target)
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	if u.Scheme == "tls" {
		if secure, err = c.tls(u.Hostname()); err != nil {
			return nil, err
		}
	}
	encode := c.encoder(from)
	return func(ctx context.Context) (conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		raw, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		if err != nil {
			return nil, err
		}
		wire := &counting{Conn: raw}
		s := &syslogConn{Conn: wire, wire: wire, encode: encode, host: hostField(from.Host()), ended: make(chan struct{})}
		if secure != nil {
			t := tls.Client(wire, secure)
			if err := t.HandshakeContext(ctx); err != nil {
				raw.Close()
				return nil, err
			}
			s.Conn = t
		}
		go s.listen()
		return s, nil
	}, nil
}

// listen waits for the receiver to end the connection. A kernel resets a connection whose
// receiver has left something unread.
func (s *syslogConn) listen() {
	_, err := io.Copy(io.Discard, s.Conn)
	s.mu.Lock()
	s.read = err == nil || errors.Is(err, io.ErrUnexpectedEOF)
	s.mu.Unlock()
	close(s.ended)
}

func (s *syslogConn) lost() <-chan struct{} { return s.ended }

func (s *syslogConn) send(ctx context.Context, some []audit.Event) error {
	var b, message []byte
	for _, e := range some {
		message = s.append(message[:0], &e)
		b = append(strconv.AppendInt(b, int64(len(message)), 10), ' ') // RFC 6587, section 3.4.1
		b = append(b, message...)
	}
	s.SetWriteDeadline(time.Now().Add(sendTime))
	defer context.AfterFunc(ctx, func() { s.SetWriteDeadline(time.Now().Add(time.Second)) })()
	if _, err := s.Write(b); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, mark{end(some), s.wire.written.Load(), time.Now()})
	return nil
}

// append appends an event as a message (RFC 5424, section 6).
func (s *syslogConn) append(b []byte, e *audit.Event) []byte {
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(logAudit*8+severity(e.Decision)), 10)
	b = append(b, ">1 "...)
	b = e.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	b = append(append(append(b, ' '), s.host...), " brevet - "...)
	b = append(append(b, e.Action...), " - "...)
	return s.encode(b, e)
}

// logAudit is the facility of audit logs (RFC 5424, section 6.2.1).
const logAudit = 13

func severity(d audit.Decision) int {
	switch d {
	case audit.Allow:
		return 6 // informational
	case audit.Ask:
		return 5 // notice
	}
	return 4 // warning
}

// hostField returns a host name as a message has it: printable ASCII (RFC 5424, section 6.2.4).
func hostField(host string) string {
	for _, c := range []byte(host) {
		if c <= ' ' || c > '~' {
			return "-"
		}
	}
	return cmp.Or(host[:min(len(host), 255)], "-")
}

func (s *syslogConn) arrived(now time.Time) int64 {
	acknowledged := s.wire.acknowledged()
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := false
	select {
	case <-s.ended:
		ended = !s.finished
	default:
	}
	for len(s.sent) > 0 && !ended && (s.finished || s.sent[0].octets <= acknowledged && now.Sub(s.sent[0].at) >= settleTime) {
		s.next, s.sent = s.sent[0].next, s.sent[1:]
	}
	return s.next
}

// finish says that nothing follows, and waits until the receiver, which has then read
// everything, ends the connection, too.
func (s *syslogConn) finish(ctx context.Context) {
	if t, ok := s.Conn.(*tls.Conn); ok {
		t.CloseWrite()
	}
	if t, ok := s.wire.Conn.(*net.TCPConn); ok {
		t.CloseWrite()
	}
	select {
	case <-ctx.Done():
	case <-s.ended:
		all := s.wire.acknowledged() >= s.wire.written.Load()
		s.mu.Lock()
		s.finished = all && s.read
		s.mu.Unlock()
	}
}

func (s *syslogConn) abandon() { s.wire.Close() }

// counting counts what is written to a connection.
type counting struct {
	net.Conn
	written atomic.Int64
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// acknowledged returns how many octets the receiver's kernel has acknowledged.
func (c *counting) acknowledged() int64 {
	written := c.written.Load() // before the queue, which may only get shorter by then
	return written - unacknowledged(c.Conn)
}
