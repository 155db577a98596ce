package server_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A halfway connection sends what a TLS client says up to its certificate, and nothing after it.
type halfway struct {
	net.Conn
	begun bool
	done  func()
}

func (c *halfway) Write(p []byte) (int, error) {
	if !c.begun {
		c.begun = true
		return c.Conn.Write(p)
	}
	var ends []int // of records
	for at := 0; at+5 <= len(p); {
		at += 5 + int(p[at+3])<<8 + int(p[at+4])
		ends = append(ends, at)
	}
	if n := len(ends); n >= 3 { // the last two are CertificateVerify and Finished
		c.Conn.Write(p[:ends[n-3]])
		c.done()
	}
	return len(p), nil
}

// TestCertificateAloneTakesNoRoom: whoever shows an operator's certificate and has not its key takes no
// connections of that operator.
func TestCertificateAloneTakesNoRoom(t *testing.T) {
	w := newDoored(t)
	alice := w.login("alice", "admin")
	shown := must1(alice.GetClientCertificate(nil))(t)
	stranger := &tls.Config{RootCAs: w.Roots, Time: w.Clock.Now, ServerName: "127.0.0.1", Certificates: []tls.Certificate{{Certificate: shown.Certificate, PrivateKey: selfSigned(t).PrivateKey}}}
	var waiting atomic.Int32
	for range 40 {
		c := must1(net.Dial("tcp", strings.TrimPrefix(w.url, "https://")))(t)
		defer c.Close()
		go tls.Client(&halfway{Conn: c, done: func() { waiting.Add(1) }}, stranger).Handshake()
	}
	for begun := time.Now(); waiting.Load() < 40 && time.Since(begun) < 4*time.Second; {
		time.Sleep(10 * time.Millisecond)
	}
	if status, body := w.ask(alice, "GET", "/agents"); status != http.StatusOK {
		t.Errorf("%d connections wait, and the operator gets %d %s", waiting.Load(), status, body)
	}
}
