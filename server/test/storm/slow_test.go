package storm_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// The bounds of these tests: the real ones are longer, and only that.
const (
	stormHeader = time.Second
	stormRead   = 2 * time.Second
	stormWrite  = 3 * time.Second
	stormIdle   = 2 * time.Second
)

// h2Farewell is how long net/http leaves a connection after its GOAWAY.
const h2Farewell = time.Second

// A sloth is a connection on which somebody takes their time.
type sloth struct {
	net.Conn
	world *servertest.World
}

// A slowness is a way to be slow, and the time after which the server must have
// ended the connection.
type slowness struct {
	name  string
	until time.Duration
	be    func(*sloth) error // returns when the connection has ended
}

var slow = []slowness{
	{"no TLS handshake", stormHeader, (*sloth).listen},
	{"a TLS handshake drips", stormHeader, func(s *sloth) error { return s.drip(clientHello) }},
	{"no request", stormHeader, func(s *sloth) error { return s.overTLS("http/1.1").listen() }},
	{"a header drips", stormHeader, func(s *sloth) error { return s.overTLS("http/1.1").drip(endlessHeader) }},
	{"a body drips", stormRead, func(s *sloth) error {
		return s.overTLS("http/1.1").drip(postHeader + "Content-Length: 30000\r\n\r\n")
	}},
	{"a chunked body drips", stormRead, func(s *sloth) error {
		return s.overTLS("http/1.1").drip(postHeader + "Transfer-Encoding: chunked\r\n\r\n4000\r\n{\"token\":\"")
	}},
	{"a connection idles", stormIdle, func(s *sloth) error { return s.overTLS("http/1.1").idle() }},
	{"HTTP/2 idles", stormIdle + h2Farewell, func(s *sloth) error { return s.overTLS("h2").say(h2Preface).listen() }},
	{"an HTTP/2 header drips", stormIdle + h2Farewell, func(s *sloth) error {
		return s.overTLS("h2").say(h2Preface).drip(string(h2Frame(h2Headers, h2EndHeaders, 1, h2Request("POST", "/v1/enroll"))[:9]))
	}},
	{"an HTTP/2 body drips", stormRead + stormIdle + h2Farewell, func(s *sloth) error { return s.overTLS("h2").dripH2() }},
	{"HTTP/2 pings", stormIdle + h2Farewell, func(s *sloth) error { return s.overTLS("h2").say(h2Preface).ping() }},
	{"plain HTTP, no request", stormHeader, func(s *sloth) error { return s.plainly((*sloth).listen) }},
	{"plain HTTP, a header drips", stormHeader, func(s *sloth) error { return s.plainly(func(s *sloth) error { return s.drip(endlessHeader) }) }},
	{"plain HTTP idles", stormIdle, func(s *sloth) error { return s.plainly((*sloth).idle) }},
}

const (
	endlessHeader = "GET /healthz HTTP/1.1\r\nHost: authority\r\nX-Slow: "
	postHeader    = "POST /v1/enroll HTTP/1.1\r\nHost: authority\r\nContent-Type: application/json\r\n"
	clientHello   = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" // of 512 bytes, begun
)

// impatient starts an authority that waits for connections no longer than tests do.
func impatient(t *testing.T, write time.Duration) *servertest.World {
	t.Helper()
	w := servertest.New(t)
	w.Stop()
	w.Start(func(c *server.Config) {
		c.Timeouts = server.Timeouts{Header: stormHeader, Read: stormRead, Write: write, Idle: stormIdle}
	})
	return w
}

// TestSlowClients has many clients be slow in every way at once. The server
// ends each connection within its bounds, and an agent beside them gets its
// certificates in ordinary time.
func TestSlowClients(t *testing.T) {
	w := impatient(t, stormWrite)
	agent := w.Enroll("bystander", agents.Change{})
	each := 20
	if short {
		each = 4
	}
	var mu sync.Mutex
	lasted := map[string][]time.Duration{}
	var wait sync.WaitGroup
	ways := slow
	if short {
		ways = slices.DeleteFunc(slices.Clone(slow), func(w slowness) bool { return w.until > stormIdle })
	}
	for _, way := range ways {
		for range each {
			wait.Go(func() {
				begun := time.Now()
				err := beSlow(w, way.be)
				took := time.Since(begun)
				mu.Lock()
				defer mu.Unlock()
				lasted[way.name] = append(lasted[way.name], took)
				if err != nil {
					t.Errorf("%s: %v", way.name, err)
				}
			})
		}
	}
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	var renewals []time.Duration
	for waiting := true; waiting; {
		begun := time.Now()
		got := agent.Renew()
		renewals = append(renewals, time.Since(begun))
		if got.Status != http.StatusOK {
			t.Errorf("renewing meanwhile: %d %s", got.Status, got.Body)
			break
		}
		select {
		case <-done:
			waiting = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	<-done
	for _, way := range ways {
		longest := slices.Max(lasted[way.name])
		t.Logf("%-28s %s (at most %s)", way.name, longest.Round(time.Millisecond), way.until)
		if longest > way.until+stormSlack {
			t.Errorf("%s: a connection lasted %s, want at most %s", way.name, longest, way.until)
		}
	}
	slices.Sort(renewals)
	middle, last := renewals[len(renewals)/2], renewals[len(renewals)-1]
	t.Logf("%d renewals meanwhile: median %s, longest %s", len(renewals), middle, last)
	if middle > 200*time.Millisecond || last > 3*time.Second {
		t.Errorf("a bystander renewed in %s, at the longest in %s", middle, last)
	}
}

// stormSlack is how much later than its bound a connection may end: the
// machine of the test is busy with the test.
const stormSlack = 1500 * time.Millisecond

// beSlow opens a connection and returns when the server has ended it.
func beSlow(w *servertest.World, be func(*sloth) error) error {
	small := func(_, _ string, c syscall.RawConn) (err error) { // so that few answers fill the buffers
		failed := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		if failed != nil {
			return failed
		}
		return err
	}
	conn, err := (&net.Dialer{Control: small}).Dial("tcp", strings.TrimPrefix(w.URL, "https://"))
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	err = be(&sloth{conn, w})
	if err, ok := err.(net.Error); ok && err.Timeout() {
		return fmt.Errorf("the server lets it live: %w", err)
	}
	return nil // however it ended, it did
}

// overTLS does the handshake.
func (s *sloth) overTLS(protocol string) *sloth {
	return &sloth{tls.Client(s.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}), s.world}
}

func (s *sloth) say(text string) *sloth {
	s.Write([]byte(text))
	return s
}

// plainly leaves the connection for one to the listener without TLS.
func (s *sloth) plainly(be func(*sloth) error) error {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.world.HTTP, "http://"))
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return be(&sloth{conn, s.world})
}

// listen reads until the connection ends.
func (s *sloth) listen() error {
	_, err := io.Copy(io.Discard, s)
	return err
}

// drip says what begins, then one byte after the other.
func (s *sloth) drip(begin string) error {
	for text := begin; ; text = "x" {
		if _, err := s.Write([]byte(text)); err != nil {
			return err
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// idle asks once and then nothing more.
func (s *sloth) idle() error {
	return s.say("GET /healthz HTTP/1.1\r\nHost: authority\r\n\r\n").listen()
}

// neverRead asks and asks.
func (s *sloth) neverRead(path string) error {
	for {
		if _, err := s.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: authority\r\n\r\n")); err != nil {
			return err
		}
	}
}

// HTTP/2 by hand (RFC 9113): just enough to be slow in it.
const (
	h2Data, h2Headers, h2Ping, h2WindowUpdate = 0, 1, 6, 8

	h2EndStream, h2EndHeaders = 1, 4
)

// h2Preface begins a connection, allows streams that are as wide as can be,
// and acknowledges the server's settings.
var h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
	string(h2Frame(4, 0, 0, []byte{0, 4, 0x7f, 0xff, 0xff, 0xff})) +
	string(h2Frame(4, 1, 0, nil)) +
	string(h2Frame(h2WindowUpdate, 0, 0, []byte{0x7f, 0, 0, 0}))

func h2Frame(kind, flags byte, stream uint32, payload []byte) []byte {
	f := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(f, stream), payload...)
}

// h2Request is a header block (RFC 7541) with nothing of it compressed.
func h2Request(method, path string) []byte {
	var b []byte
	for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":path", path}, {":authority", "authority"}, {"content-type", "application/json"}} {
		b = append(b, 0, byte(len(f[0])))
		b = append(b, f[0]...)
		b = append(b, byte(len(f[1])))
		b = append(b, f[1]...)
	}
	return b
}

// dripH2 sends the body of a request byte by byte.
func (s *sloth) dripH2() error {
	s.say(h2Preface + string(h2Frame(h2Headers, h2EndHeaders, 1, h2Request("POST", "/v1/enroll"))))
	go func() {
		for {
			if _, err := s.Write(h2Frame(h2Data, 0, 1, []byte(" "))); err != nil {
				return
			}
			time.Sleep(30 * time.Millisecond)
		}
	}()
	return s.listen()
}

// ping says that it is there.
func (s *sloth) ping() error {
	go func() {
		for {
			if _, err := s.Write(h2Frame(h2Ping, 0, 0, make([]byte, 8))); err != nil {
				return
			}
			time.Sleep(30 * time.Millisecond)
		}
	}()
	return s.listen()
}

// neverReadH2 asks on stream after stream, until the buffers between are full
// and as many requests are open as the server allows, and then only pings now
// and then.
func (s *sloth) neverReadH2(path string) error {
	s.say(h2Preface)
	for stream := uint32(1); stream < 3000; stream += 2 {
		time.Sleep(time.Millisecond)
		s.Write(h2Frame(h2Headers, h2EndHeaders|h2EndStream, stream, h2Request("GET", path)))
	}
	for {
		if _, err := s.Write(h2Frame(h2Ping, 0, 0, make([]byte, 8))); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestAnswersThatNobodyReads: a client that asks on and on, and reads nothing, is
// cut off when the answers have filled the buffers between.
func TestAnswersThatNobodyReads(t *testing.T) {
	if short {
		t.Skip("it takes 8 seconds: set BREVET_LONG=1")
	}
	w := impatient(t, time.Second)
	var wait sync.WaitGroup
	for name, be := range map[string]func(*sloth) error{
		"HTTP/1.1":   func(s *sloth) error { return s.overTLS("http/1.1").neverRead("/oauth/jwks") },
		"HTTP/2":     func(s *sloth) error { return s.overTLS("h2").neverReadH2("/oauth/jwks") },
		"plain HTTP": func(s *sloth) error { return s.plainly(func(s *sloth) error { return s.neverRead("/crl/x.crl") }) },
	} {
		wait.Go(func() {
			begun := time.Now()
			if err := beSlow(w, be); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			// It takes some time to fill the buffers, and crypto/tls waits 5 more
			// seconds for its goodbye to get through.
			took, until := time.Since(begun), time.Second+4*time.Second+5*time.Second
			t.Logf("%s: %s", name, took.Round(time.Millisecond))
			if took > until+stormSlack {
				t.Errorf("%s: the connection lasted %s, want at most %s", name, took, until)
			}
		})
	}
	wait.Wait()
}

// TestAnswersReadByteByByte: a client that reads slowly still gets the whole answer.
func TestAnswersReadByteByByte(t *testing.T) {
	w := impatient(t, stormWrite)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(w.URL, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("GET /roots.pem HTTP/1.1\r\nHost: authority\r\nConnection: close\r\n\r\n"))
	text, err := io.ReadAll(bufio.NewReaderSize(slowReader{conn}, 16))
	if err != nil || !strings.HasSuffix(string(text), "-----END CERTIFICATE-----\n") {
		t.Errorf("got %d octets (%v): %s", len(text), err, text)
	}
}

// A slowReader reads one byte a millisecond.
type slowReader struct{ io.Reader }

func (r slowReader) Read(b []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return r.Reader.Read(b[:1])
}
