package server

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/limit"
	"github.com/brevet-ca/brevet/server/relying"
)

// Listeners belong to a program that embeds the server. Run closes them. Run does not
// serve one that is nil: the program may mount its handler instead.
type Listeners struct {
	HTTPS   net.Listener // accepts bare connections, on which Run speaks TLS; see Server.Handler
	HTTP    net.Listener // see Server.PublicHandler
	Metrics net.Listener // see Server.MetricsHandler
}

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
	operatorsHere = "operators"
)

func (e endpoint) serve() error {
	if e.server.TLSConfig != nil {
		return e.server.ServeTLS(e.Listener, "", "")
	}
	return e.server.Serve(e.Listener)
}

const nowhere = "not here"

// listeningAt returns where the endpoint of a role listens, for the log, or nowhere.
func listeningAt(endpoints []endpoint, role string) string {
	for _, e := range endpoints {
		if e.role == role {
			return e.Addr().String()
		}
	}
	return nowhere
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
	add := func(role string, l net.Listener, handler http.Handler) *http.Server {
		e := endpoint{l, role, s.server(handler)}
		open = append(open, e)
		return e.server
	}
	network, err := s.network()
	room := limit.Connections() // three quarters of it are for agents
	if network.HTTPS != nil {
		l := limit.NewListener(network.HTTPS, room-room/4)
		s.listeners = append(s.listeners, l)
		srv := add(agentsHere, l, s.observed(s.agentHandler()))
		srv.TLSConfig, srv.ConnState = s.TLSConfig(), l.ConnState
		srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			return relying.ConnContext(l.ConnContext(ctx, c), c)
		}
	}
	if network.HTTP != nil {
		l := limit.NewListener(network.HTTP, room/4)
		s.listeners = append(s.listeners, l)
		srv := add(publicHere, l, s.observed(s.publicHandler()))
		srv.ConnState, srv.ConnContext, srv.IdleTimeout = l.ConnState, l.ConnContext, min(srv.IdleTimeout, publicIdle)
	}
	if network.Metrics != nil {
		l := limit.NewListener(network.Metrics, metricsConnections)
		s.listeners = append(s.listeners, l)
		srv := add(metricsHere, l, s.observed(s.bodies.Handler(s.metricsHandler())))
		srv.ConnState, srv.ConnContext = l.ConnState, l.ConnContext
	}
	if err != nil {
		return open, err
	}
	others := socketOperators(s.Dir, s.file, s.Log)
	l, err := admin.Listen(s.Dir, others, s.Log)
	if err != nil {
		return open, err
	}
	srv := add(operatorsHere, l, s.observed(s.operatorHandler()))
	srv.ConnContext = others.ConnContext
	srv.WriteTimeout, srv.ReadTimeout = 0, 0 // backups and audit tail take their time
	return open, nil
}

// network returns the listeners that are open to the network. If there is an error,
// those that could be opened are returned with it.
func (s *Server) network() (l Listeners, err error) {
	if s.Listeners != nil {
		return *s.Listeners, nil
	}
	for _, e := range []struct {
		into    *net.Listener
		address string
	}{{&l.HTTPS, s.file.Listen}, {&l.HTTP, s.file.ListenHTTP}, {&l.Metrics, s.file.ListenMetrics}} {
		if e.address == "" {
			continue // only metrics need no listener
		}
		opened, err := net.Listen("tcp", e.address)
		if err != nil {
			return l, fmt.Errorf("listening on %s, as brevet.yaml says: %w", e.address, err)
		}
		*e.into = opened
	}
	return l, nil
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
