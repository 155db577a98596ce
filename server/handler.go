package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/tokens"
)

// bounds are those of every connection: a client that is slower than this is
// none that needs a credential of minutes. Only tests change them.
var bounds = struct{ header, read, write, idle time.Duration }{
	header: 5 * time.Second, // the TLS handshake, too
	read:   15 * time.Second,
	write:  30 * time.Second,
	idle:   2 * time.Minute,
}

const maxHeader = 32 << 10 // a token with a post-quantum signature has 8 kB

// servers returns the three servers, in the order of their listeners.
func (s *Server) servers() []*http.Server {
	https := s.server(s.observe(s.noted(s.agentHandler())))
	https.TLSConfig = s.tlsConfig()
	https.ConnContext = withOffer
	operators := s.server(s.observe(s.admin))
	operators.ConnContext = admin.ConnContext
	operators.WriteTimeout, operators.ReadTimeout = 0, 0 // backups and audit tail take their time
	return []*http.Server{https, s.server(s.observe(s.noted(s.publicHandler()))), operators}
}

func (s *Server) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: bounds.header, ReadTimeout: bounds.read, WriteTimeout: bounds.write, IdleTimeout: bounds.idle, MaxHeaderBytes: maxHeader,
		// WriteTimeout ends a stream of HTTP/2, not the connection whose peer reads nothing.
		HTTP2: &http.HTTP2Config{WriteByteTimeout: bounds.write},
	}
}

// agentHandler serves agents and resource servers over HTTPS.
func (s *Server) agentHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /roots.pem", s.serveRoots)
	mux.HandleFunc("GET /chain.pem", s.serveChain)
	mux.Handle(enrollRoute, s.limited(http.HandlerFunc(s.serveEnroll)))
	mux.Handle("POST /v1/certificates", s.limited(http.HandlerFunc(s.serveCertificates)))
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", s.tokens.ServeMetadata)
	mux.HandleFunc("GET /.well-known/openid-configuration", s.tokens.ServeMetadata)
	mux.HandleFunc("GET "+tokens.JWKSPath, s.tokens.ServeJWKS)
	mux.Handle("POST "+tokens.TokenPath, s.limited(http.HandlerFunc(s.tokens.ServeToken)))
	mux.Handle("POST "+tokens.IntrospectPath, s.limited(http.HandlerFunc(s.tokens.ServeIntrospect)))
	mux.Handle("POST "+tokens.RevokePath, s.limited(http.HandlerFunc(s.tokens.ServeRevoke)))
	mux.Handle("POST "+acme.Path+"new-account", s.limited(s.acme)) // strangers may call these two
	mux.Handle("POST "+acme.Path+"revoke-cert", s.limited(s.acme))
	mux.Handle(acme.Path, s.acme)
	mux.HandleFunc("GET /metrics", s.metrics.serve)
	s.health(mux)
	return mux
}

// ocspByGET is the route of OCSP requests in base64.
const ocspByGET = "GET " + ca.OCSPPath + "/{request}"

// publicHandler serves what is public and signed over plain HTTP.
func (s *Server) publicHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /crl/{file}", http.Handler(s.crl))
	mux.HandleFunc("GET /issuer/{file}", s.serveIssuer)
	mux.Handle("POST "+ca.OCSPPath, s.ocsp)
	s.health(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A request in base64 may have "//" in it, which the mux would clean away.
		if (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.HasPrefix(r.URL.Path, ca.OCSPPath+"/") {
			r.Pattern = ocspByGET
			s.ocsp.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

var _ http.Handler = (*crl.Publisher)(nil)

// observe gives each request an id, which X-Request-Id carries to handlers and
// back to the client, counts it and logs it, and survives a handler's panic.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		id := newRequestID()
		header := []string{id}
		r.Header["X-Request-Id"], w.Header()["X-Request-Id"] = header, header
		rec := &recorder{ResponseWriter: w}
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				s.Log.Error("panic", "request", id, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "internal error", http.StatusInternalServerError)
				}
			}
			took := time.Since(begin)
			s.metrics.count(r.Pattern, rec.status, took)
			s.Log.LogAttrs(context.Background(), slog.LevelInfo, "request",
				slog.String("request", id), slog.String("method", method(r)), slog.String("route", r.Pattern),
				slog.Int("status", rec.status), slog.Duration("took", took), slog.String("peer", peerHost(r)))
			if p == http.ErrAbortHandler {
				panic(p) // so that package http cuts the answer off, which else would look whole
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// newRequestID returns 16 hexadecimal digits.
func newRequestID() string {
	var raw [8]byte
	var digits [2 * len(raw)]byte
	rand.Read(raw[:])
	hex.Encode(digits[:], raw[:])
	return string(digits[:])
}

// method returns the request's method for the log, unless it is the client's
// own invention.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "unknown"
}

// A recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// peerHost returns the address that a request came from, without its port.
func peerHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "local"
	}
	return host
}
