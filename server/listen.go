package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/limit"
	"github.com/brevet-ca/brevet/server/relying"
)

// Timeouts bound every connection that Run accepts: a slower client has no use for a
// credential that lives for minutes. Zero members mean the values of brevet serve.
type Timeouts struct {
	Header time.Duration // 5s; of the TLS handshake, too
	Read   time.Duration // 15s
	Write  time.Duration // 30s
	Idle   time.Duration // 2m; over plain HTTP 10s at most
}

var defaults = Timeouts{Header: 5 * time.Second, Read: 15 * time.Second, Write: 30 * time.Second, Idle: 2 * time.Minute}

// publicIdle is how long a connection over plain HTTP may idle: clients that fetch a list
// there come back in minutes.
const publicIdle = 10 * time.Second

// metricsConnections is how many connections may be open where metrics have a listener of
// their own: those of a few collectors.
const metricsConnections = 64

// adminConnections is how many connections may be open at listen_admin: those of some
// operators, and handshakes of strangers.
const adminConnections = 256

const maxHeader = 32 << 10 // a token with a post-quantum signature has 8 kB

// Bounds of a connection with HTTP/2. The largest body that is read has 64 kB.
const (
	maxStreams = 32
	maxReceive = 64 << 10
)

// An endpoint is a listener and the server that answers there.
type endpoint struct {
	net.Listener
	role   string
	server *http.Server
}

// The roles of endpoints.
const (
	agentsHere    = "https"
	publicHere    = "http"
	metricsHere   = "metrics"
	adminHere     = "admin"
	operatorsHere = "operators"
)

func (e endpoint) serve() error {
	if e.role == agentsHere || e.role == adminHere { // package http gives every server a TLSConfig
		return e.server.ServeTLS(e.Listener, "", "")
	}
	return e.server.Serve(e.Listener)
}

const nowhere = "not here"

// listeningAt returns where the endpoints of a role listen, for the log, or nowhere.
func listeningAt(endpoints []endpoint, role string) string {
	var all []string
	for _, e := range endpoints {
		if e.role == role {
			all = append(all, e.Addr().String())
		}
	}
	return cmp.Or(strings.Join(all, " "), nowhere)
}

func closeAll(endpoints []endpoint) {
	for _, e := range endpoints {
		e.Close()
	}
}

// listen opens the endpoints for agents, for the public and for operators.
func (s *Server) listen() (open []endpoint, err error) {
	defer func() {
		if err != nil {
			closeAll(open)
			open = nil
		}
	}()
	sockets, err := s.network()
	room := limit.Connections() // three quarters of it are for agents
	for _, r := range []struct {
		role    string
		room    int
		handler func() http.Handler
		change  func(*http.Server)
	}{
		{agentsHere, room - room/4, s.agentHandler, s.speakTLS},
		{publicHere, room / 4, s.publicHandler, func(srv *http.Server) { srv.IdleTimeout = min(srv.IdleTimeout, publicIdle) }},
		{adminHere, adminConnections, func() http.Handler { return s.bodies.Handler(s.door.Handler(s.operatorHandler())) }, func(srv *http.Server) { openDoor(srv, s.door, s.TLSConfig()) }},
		{metricsHere, metricsConnections, func() http.Handler { return s.bodies.Handler(s.metricsHandler()) }, func(*http.Server) {}},
	} {
		bare := sockets[r.role]
		if len(bare) == 0 {
			continue
		}
		if r.role != metricsHere {
			var waiting int
			bare, waiting = behindProxies(s.file.ProxyProtocol, bare, s.Log)
			r.room = max(r.room-waiting, r.room/2)
		}
		first := limit.NewListener(bare[0], r.room)
		s.listeners = append(s.listeners, first)
		srv := s.server(s.observed(r.handler()))
		srv.ConnState, srv.ConnContext = first.ConnState, first.ConnContext
		r.change(srv)
		open = append(open, endpoint{first, r.role, srv})
		for _, l := range bare[1:] {
			open = append(open, endpoint{first.Also(l), r.role, srv})
		}
	}
	if err != nil || s.Listeners != nil && s.Listeners.NoSocket {
		return open, err
	}
	others := socketOperators(s.Dir, s.file, s.Log)
	l, err := admin.Listen(s.Dir, others, s.Log)
	if err != nil {
		return open, err
	}
	srv := s.server(s.observed(s.operatorHandler()))
	srv.ConnContext = others.ConnContext
	srv.WriteTimeout, srv.ReadTimeout = 0, 0 // backups and audit tail take their time
	return append(open, endpoint{l, operatorsHere, srv}), nil
}

// speakTLS has a server speak TLS and note which relying parties are at its connections.
func (s *Server) speakTLS(srv *http.Server) {
	srv.TLSConfig = s.TLSConfig()
	room := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return relying.ConnContext(room(ctx, c), c)
	}
}

// openDoor has a server speak TLS with operators alone.
func openDoor(srv *http.Server, door *admin.Door, own *tls.Config) {
	srv.TLSConfig = door.TLSConfig(own)
	room := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		room(c, state)
		door.ConnState(c, state)
	}
	srv.WriteTimeout, srv.ReadTimeout = 0, 0 // backups and audit tail take their time
}

// server returns an HTTP server with the bounds of every connection.
func (s *Server) server(h http.Handler) *http.Server {
	header, write := cmp.Or(s.Timeouts.Header, defaults.Header), cmp.Or(s.Timeouts.Write, defaults.Write)
	read, idle := cmp.Or(s.Timeouts.Read, defaults.Read), cmp.Or(s.Timeouts.Idle, defaults.Idle)
	return &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: header, ReadTimeout: read, WriteTimeout: write, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		// WriteTimeout ends a stream of HTTP/2, not the connection whose peer reads nothing.
		// A client with more requests at once opens another connection, whose number is bounded.
		HTTP2: &http.HTTP2Config{
			WriteByteTimeout: write, MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: maxReceive, MaxReceiveBufferPerConnection: 2 * maxReceive,
		},
	}
}
