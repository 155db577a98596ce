package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/passkeys"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// Handler serves agents and resource servers, as Run does over HTTPS. A program may
// mount it at the root of its own host. It must then use [Server.TLSConfig], because
// clients prove who they are in the TLS handshake.
//
// The handler answers 503 until Ready is closed, and again once Run stops. It answers
// 421 to requests that did not come over TLS, see [Config.BehindTLS].
//
// [Config.Timeouts] does not apply here, nor do the other bounds that Run sets. The
// program's [http.Server] needs time limits (ReadHeaderTimeout, ReadTimeout,
// WriteTimeout, IdleTimeout, and WriteByteTimeout of HTTP2) and MaxHeaderBytes, and its
// listener needs a limit of connections. Without them a client can hold connections and
// memory for as long as it likes. Run uses the times of [Timeouts], headers of 32 kB, 32
// streams for each connection and at most 16,384 connections, fewer if the process may
// open fewer files. Each address has a share of them.
func (s *Server) Handler() http.Handler {
	h := s.agentHandler()
	if !s.BehindTLS {
		h = overTLS(h)
	}
	return s.observed(s.mounted.admit(h))
}

// PublicHandler serves public, signed documents (CRLs, OCSP answers, issuers), as Run
// does over plain HTTP. Certificates name the address. It answers 503 when
// [Server.Handler] does. Time limits, the size of headers and the number of connections
// are for the program's [http.Server] to bound, as there.
func (s *Server) PublicHandler() http.Handler { return s.observed(s.mounted.admit(s.publicHandler())) }

// agentHandler serves agents and resource servers over HTTPS.
func (s *Server) agentHandler() http.Handler {
	return s.relying.Handler(s.bodies.Handler(agentRoutes(s)))
}

func agentRoutes(s *Server) *routes {
	limited, mux := s.gate.Handler, new(routes)
	through := forwarding{s.db, s.policy, s.clock, s.oauth}.handler
	certs := certificates{s.authority, s.Log}
	openly(mux, "/roots.pem", certs.roots)
	openly(mux, "/roots/cross.pem", certs.cross)
	openly(mux, "/chain.pem", certs.chain)
	openly(mux, crl.BundlePath, s.authority.CRL.ServeBundle)
	mux.Handle("POST "+enroll.Path, limited(http.HandlerFunc(s.enroll.ServeEnroll)))
	mux.Handle("POST "+enroll.CertificatesPath, limited(http.HandlerFunc(s.enroll.ServeCertificates)))
	mux.Handle("POST "+enroll.KeysPath, limited(http.HandlerFunc(s.enroll.ServeKeys)))
	openly(mux, "/.well-known/oauth-authorization-server", s.oauth.ServeMetadata)
	openly(mux, "/.well-known/openid-configuration", s.oauth.ServeMetadata)
	openly(mux, oauth.JWKSPath, through(s.oauth.ServeJWKS))
	mux.HandleFunc("GET "+oauth.AuthorizePath, through(s.oauth.ServeAuthorize))
	mux.HandleFunc("POST "+oauth.AuthorizePath, through(s.oauth.ServeAuthorize))
	mux.Handle("POST "+oauth.TokenPath, limited(through(s.oauth.ServeToken)))
	mux.Handle("POST "+oauth.IntrospectPath, limited(through(s.oauth.ServeIntrospect)))
	mux.Handle("POST "+oauth.RevokePath, limited(through(s.oauth.ServeRevoke)))
	mux.Handle("POST "+acme.Path, limited(s.acme))
	mux.Handle(acme.Path, s.acme)
	mux.HandleFunc("GET "+passkeys.Path, passkeys.ServePage)
	mux.HandleFunc("GET "+passkeys.ScriptPath, passkeys.ServeScript)
	mux.Handle("POST "+passkeys.BeginPath, limited(http.HandlerFunc(s.passkeys.ServeBegin)))
	mux.Handle("POST "+passkeys.Path, limited(http.HandlerFunc(s.passkeys.ServeRegister)))
	openly(mux, DescriptionPath, serveDescription)
	s.health(mux)
	return mux
}

// ocspByGET is the route of OCSP requests in base64.
const ocspByGET = "GET " + ca.OCSPPath + "/{request}"

func publicRoutes(s *Server) *routes {
	mux := new(routes)
	openly(mux, "/crl/{file}", s.authority.CRL.ServeHTTP)
	openly(mux, crl.BundlePath, s.authority.CRL.ServeBundle)
	openly(mux, "/issuer/{file}", certificates{s.authority, s.Log}.issuer)
	mux.Handle("POST "+ca.OCSPPath, s.ocsp)
	s.health(mux)
	return mux
}

// publicHandler serves public, signed documents over plain HTTP.
func (s *Server) publicHandler() http.Handler {
	mux := publicRoutes(s)
	return s.relying.Handler(s.bodies.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := http.Handler(s.ocsp)
		switch {
		// A request in base64 may have "//" in it, which the mux would clean away.
		case (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.HasPrefix(r.URL.Path, ca.OCSPPath+"/"):
			r.Pattern = ocspByGET
		case r.Method == http.MethodPost && r.URL.Path == ca.OCSPPath+"/": // as some clients write it
			r.Pattern = "POST " + ca.OCSPPath
		default:
			next = mux
		}
		next.ServeHTTP(w, r)
	})))
}

func (s *Server) observed(next http.Handler) http.Handler {
	return s.metrics.Observe(s.Log, dated(s.given, forwardingOnly(next)))
}

// dated dates answers by the clock that a program gave the server: agents take the date for
// that of the authority. Package http dates them by the machine's.
func dated(now func() time.Time, next http.Handler) http.Handler {
	if now == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now().UTC().Format(http.TimeFormat))
		next.ServeHTTP(w, r)
	})
}
