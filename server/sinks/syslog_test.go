package sinks

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// A syslogServer takes messages with octet counting and checks their form.
type syslogServer struct {
	t testing.TB
	net.Listener
	received
	drop atomic.Int64 // how many messages to take before the next connection is reset
}

func listenSyslog(t testing.TB, secure *tls.Config) *syslogServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &syslogServer{t: t, Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			c := raw
			if secure != nil {
				c = tls.Server(raw, secure)
			}
			go s.serve(raw.(*net.TCPConn), c)
		}
	}()
	return s
}

// header is that of RFC 5424, as our messages have it.
var header = regexp.MustCompile(`^<(110|108|109)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z brevet\.example\.internal brevet - [a-z.]{1,32} - (.*)$`)

func (s *syslogServer) serve(raw *net.TCPConn, c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		length, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(length[:len(length)-1])
		if err != nil {
			s.t.Errorf("a message begins with %q", length)
			return
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(r, message); err != nil {
			return
		}
		if s.drop.Load() > 0 && s.drop.Add(-1) == 0 {
			raw.SetLinger(0) // the connection is reset, and this message and what is unread are lost
			raw.Close()
			return
		}
		parts := header.FindSubmatch(message)
		if parts == nil {
			s.t.Errorf("a message is %q", message)
			return
		}
		if err := s.take(parts[2]); err != nil {
			s.t.Error(err)
		}
	}
}

// TestSyslogLosesNothing over TCP and TLS, when connections are reset with messages unread.
func TestSyslogLosesNothing(t *testing.T) {
	secure, ca := certificate(t, http.NotFoundHandler())
	for scheme, config := range map[string]*tls.Config{"tcp": nil, "tls": secure.TLS} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			db := openStore(t, t.TempDir())
			defer db.Close()
			s := listenSyslog(t, config)
			c := Config{Name: "siem", Kind: Syslog, Target: scheme + "://" + s.Addr().String()}
			if config != nil {
				c.CA = ca
			}
			r := start(t, db, c)
			for i := range 6 {
				s.drop.Store(int64(i * 20 % 70))
				r.add(150)
				if i%2 == 0 {
					r.caughtUp()
				}
			}
			r.caughtUp()
			r.add(10)
			r.stop() // ends the connection and learns that all has arrived
			if st := r.status(); st.Behind != 0 || st.Next != 910 {
				t.Errorf("after the end it is %+v", st)
			}
			s.check(t, db)
			before := len(s.seqs)
			again := start(t, db, c)
			again.add(1)
			again.caughtUp()
			if s.check(t, db); len(s.seqs) != before+1 {
				t.Errorf("after a clean end %d messages came, want 1", len(s.seqs)-before)
			}
		})
	}
}

// TestUnreachableReceiverDelaysNothing: a receiver that never reads stops its sink and nothing
// else. Messages that its kernel has not acknowledged do not count as arrived.
func TestUnreachableReceiverDelaysNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts and never reads
	db := openStore(t, t.TempDir())
	defer db.Close()
	r := start(t, db, Config{Name: "siem", Kind: Syslog, Target: "tcp://" + l.Addr().String()})
	begin := time.Now()
	const n = 20_000 // more than the buffers of both kernels hold
	for range n / 1000 {
		r.add(1000)
	}
	took := time.Since(begin)
	time.Sleep(4 * settleTime)
	st := r.status()
	if st.Next > n*3/4 || st.Behind < n/4 || st.Oldest.IsZero() {
		t.Errorf("it is %+v of %d", st, n)
	}
	t.Logf("%d events took %v beside a sink that is stuck", n, took)
	begin = time.Now()
	r.stop()
	if took := time.Since(begin); took > finishTime+3*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

// TestWrongCertificateIsRefused, and the status says so.
func TestWrongCertificateIsRefused(t *testing.T) {
	t.Parallel()
	secure, _ := certificate(t, http.NotFoundHandler())
	s := listenSyslog(t, secure.TLS)
	db := openStore(t, t.TempDir())
	defer db.Close()
	r := start(t, db, Config{Name: "siem", Kind: Syslog, Target: "tls://" + s.Addr().String()})
	r.add(3)
	until(t, func() bool { return r.status().Error != "" })
	if st := r.status(); st.Next != 0 || st.Behind != 3 || s.count() != 0 {
		t.Errorf("it is %+v", st)
	}
}
