package server

import (
	"cmp"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/limit"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// Timeouts bound every connection: a client that is slower does not need a
// credential of minutes. Zero members have the values that brevet serve uses.
type Timeouts struct {
	Header time.Duration // of the TLS handshake, too
	Read   time.Duration
	Write  time.Duration
	Idle   time.Duration
}

var defaults = Timeouts{Header: 5 * time.Second, Read: 15 * time.Second, Write: 30 * time.Second, Idle: 2 * time.Minute}

const maxHeader = 32 << 10 // a token with a post-quantum signature has 8 kB

// servers returns the three servers, in the order of their listeners.
func (s *Server) servers() []*http.Server {
	https := s.server(s.observed(s.relying.Handler(s.agentHandler())))
	https.TLSConfig = s.tlsConfig()
	https.ConnContext = relying.ConnContext
	operators := s.server(s.observed(s.admin))
	operators.ConnContext = admin.ConnContext
	operators.WriteTimeout, operators.ReadTimeout = 0, 0 // backups and audit tail take their time
	return []*http.Server{https, s.server(s.observed(s.relying.Handler(s.publicHandler()))), operators}
}

func (s *Server) server(h http.Handler) *http.Server {
	header, write := cmp.Or(s.Timeouts.Header, defaults.Header), cmp.Or(s.Timeouts.Write, defaults.Write)
	read, idle := cmp.Or(s.Timeouts.Read, defaults.Read), cmp.Or(s.Timeouts.Idle, defaults.Idle)
	return &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: header, ReadTimeout: read, WriteTimeout: write, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		// WriteTimeout ends a stream of HTTP/2, not the connection whose peer reads nothing.
		HTTP2: &http.HTTP2Config{WriteByteTimeout: write},
	}
}

// agentHandler serves agents and resource servers over HTTPS.
func (s *Server) agentHandler() http.Handler {
	limited, mux := s.gate.Handler, http.NewServeMux()
	certs := certificates{s.authority, s.Log}
	mux.HandleFunc("GET /roots.pem", certs.roots)
	mux.HandleFunc("GET /chain.pem", certs.chain)
	mux.Handle("POST "+enroll.Path, limited(http.HandlerFunc(s.enroll.ServeEnroll)))
	mux.Handle("POST "+enroll.CertificatesPath, limited(http.HandlerFunc(s.enroll.ServeCertificates)))
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", s.oauth.ServeMetadata)
	mux.HandleFunc("GET /.well-known/openid-configuration", s.oauth.ServeMetadata)
	mux.HandleFunc("GET "+oauth.JWKSPath, s.oauth.ServeJWKS)
	mux.Handle("POST "+oauth.TokenPath, limited(http.HandlerFunc(s.oauth.ServeToken)))
	mux.Handle("POST "+oauth.IntrospectPath, limited(http.HandlerFunc(s.oauth.ServeIntrospect)))
	mux.Handle("POST "+oauth.RevokePath, limited(http.HandlerFunc(s.oauth.ServeRevoke)))
	mux.Handle("POST "+acme.Path+"new-account", limited(s.acme)) // strangers may call these two
	mux.Handle("POST "+acme.Path+"revoke-cert", limited(s.acme))
	mux.Handle(acme.Path, s.acme)
	mux.Handle("GET /metrics", s.metrics)
	s.health(mux)
	return mux
}

// ocspByGET is the route of OCSP requests in base64.
const ocspByGET = "GET " + ca.OCSPPath + "/{request}"

// publicHandler serves what is public and signed over plain HTTP.
func (s *Server) publicHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /crl/{file}", http.Handler(s.authority.CRL))
	mux.HandleFunc("GET /issuer/{file}", certificates{s.authority, s.Log}.issuer)
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

func (s *Server) observed(next http.Handler) http.Handler { return s.metrics.Observe(s.Log, next) }

// newGate returns what turns away senders that have been refused too often.
func (s *Server) newGate() *limit.Gate {
	return &limit.Gate{Limiter: limit.New(s.Now), Proven: s.proven, Refuse: func(w http.ResponseWriter, r *http.Request) {
		kind := "about:blank"
		if strings.HasPrefix(r.URL.Path, acme.Path) {
			kind = acme.RateLimited
		}
		enroll.WriteProblem(w, kind, http.StatusTooManyRequests, "too many refused requests came from this address; wait a little")
	}}
}

// proven returns the agent whose current certificate the client presented.
func (s *Server) proven(r *http.Request) (agent agents.Name) {
	err := s.db.View(r.Context(), func(tx storage.Tx) error {
		p, err := presented(tx, r, s.clock.Now())
		if err == nil && p != nil {
			agent = p.Agent.Name
		}
		return err
	})
	if err != nil {
		return ""
	}
	return agent
}
