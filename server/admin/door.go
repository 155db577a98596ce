package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Door lets operators in over HTTPS by their certificates. Everybody else is turned away in
// the TLS handshake: clients without a certificate, agents, and operators who are suspended or
// whose certificate cannot be used.
type Door struct {
	handler *Handler

	mu     sync.Mutex
	warned time.Time
	open   map[persons.Name]int // connections of each operator
	held   map[net.Conn]*visit
}

// A visit is a connection on which an operator's certificate was shown. It counts once
// the handshake is over: a certificate is no secret, and the handshake asks for one before the
// client has proven to have its key.
type visit struct {
	person  persons.Name
	counted bool
}

// NewDoor returns a Door to what h serves.
func NewDoor(h *Handler) *Door {
	return &Door{handler: h, open: map[persons.Name]int{}, held: map[net.Conn]*visit{}}
}

// errNoOperator says that a client has no certificate.
var errNoOperator = errors.New("it is for operators with a certificate, and the client showed none")

// TLSConfig returns a configuration that lets operators in, who are looked up in the store at
// each handshake. base has the server's own certificate.
func (d *Door) TLSConfig(base *tls.Config) *tls.Config {
	c := base.Clone()
	c.ClientAuth = tls.RequireAnyClientCert // the store knows which ones were issued
	c.NextProtos = []string{"h2", "http/1.1"}
	c.SessionTicketsDisabled = true
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		one := c.Clone()
		one.GetConfigForClient = nil
		one.VerifyConnection = func(s tls.ConnectionState) error {
			err := d.admit(from(hello.Context(), hello.Conn.RemoteAddr().String()), hello.Conn, s.PeerCertificates)
			if err != nil {
				d.warn(hello.Conn, err)
			}
			return err
		}
		return one, nil
	}
	return c
}

// from returns ctx with the address of a client, for the audit log.
func from(ctx context.Context, address string) context.Context {
	source := audit.SourceOf(ctx)
	if host, _, err := net.SplitHostPort(address); err == nil {
		source.Peer = host
	}
	return audit.WithSource(ctx, source)
}

// admit lets operators go on with the handshake.
func (d *Door) admit(ctx context.Context, conn net.Conn, shown []*x509.Certificate) error {
	if len(shown) == 0 {
		return errNoOperator
	}
	p, err := d.handler.service.Authenticate(ctx, shown[0])
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held[conn] = &visit{person: p.Person}
	return nil
}

// ConnState is for [http.Server.ConnState]: it counts a connection of an operator from its first
// request, which comes after the handshake, until it is closed.
func (d *Door) ConnState(c net.Conn, s http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	switch s {
	case http.StateActive:
		if !d.count(c) {
			c.Close()
			d.warn(c, errTooMany)
		}
	case http.StateClosed, http.StateHijacked:
		d.forget(c)
	}
}

// count reports whether the operator may have one more connection.
func (d *Door) count(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.held[c]
	switch {
	case v == nil || v.counted:
		return true
	case d.open[v.person] >= maxOpen:
		return false
	}
	v.counted = true
	d.open[v.person]++
	return true
}

func (d *Door) forget(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.held[c]
	delete(d.held, c)
	if v == nil || !v.counted {
		return
	}
	if d.open[v.person]--; d.open[v.person] == 0 {
		delete(d.open, v.person)
	}
}

// warn logs a refused connection, once a minute.
func (d *Door) warn(c net.Conn, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.Sub(d.warned) > time.Minute {
		d.warned = now
		d.handler.log.Warn("refused a connection to listen_admin", "peer", c.RemoteAddr().String(), "error", err)
	}
}

// Handler has next answer operators. It looks each one up again, because a connection may be older
// than a suspension, and refuses requests that a web page of somebody else sent by an
// operator's browser.
func (d *Door) Handler(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var who policy.Principal
		err := fmt.Errorf("%w: %w", policy.ErrNotOperator, errNoOperator)
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			who, err = d.authenticate(r)
		}
		if errors.Is(err, policy.ErrToken) {
			d.handler.refuse(w, r, err)
			return
		}
		if err != nil {
			w.Header().Set("Connection", "close") // a new one does not get through the handshake
			d.handler.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, who)))
	}))
}
