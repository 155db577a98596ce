package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// serveRoots serves the trust anchors. A client that fetches them over a
// connection it cannot verify yet compares their fingerprint.
func (s *Server) serveRoots(w http.ResponseWriter, r *http.Request) {
	roots, _, err := s.authorities(r.Context())
	if err != nil {
		s.unreadable(w, r, err)
		return
	}
	servePEM(w, roots)
}

// serveChain serves the active issuer's certificate and those above it.
func (s *Server) serveChain(w http.ResponseWriter, r *http.Request) {
	servePEM(w, s.ca.Issuer().Chain)
}

// unreadable answers when the store could not be read.
func (s *Server) unreadable(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.Error("refused", "request", r.Header.Get("X-Request-Id"), "route", r.Pattern, "status", http.StatusServiceUnavailable, "reason", err.Error())
	enroll.WriteProblem(w, "about:blank", http.StatusServiceUnavailable, "the request could not be completed; try again shortly")
}

func servePEM(w http.ResponseWriter, certs [][]byte) {
	w.Header().Set("Content-Type", "application/pem-certificate-chain") // RFC 8555, section 9.1
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Write(ca.PEM(certs...))
}

// serveIssuer serves CA certificates where AIA points to (RFC 5280, section
// 4.2.2.1: a single certificate in DER).
func (s *Server) serveIssuer(w http.ResponseWriter, r *http.Request) {
	id, _ := strings.CutSuffix(r.PathValue("file"), ".cer")
	_, issuers, err := s.authorities(r.Context())
	if err != nil {
		s.unreadable(w, r, err)
		return
	}
	der, ok := issuers[id]
	if !ok || id == r.PathValue("file") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-cert") // RFC 2585, section 4.1
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write(der)
}

// authorities returns the roots' certificates, and the issuers' by identifier.
func (s *Server) authorities(ctx context.Context) (roots [][]byte, issuers map[string][]byte, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		all, below, err := hierarchies(tx)
		roots, issuers = nil, map[string][]byte{}
		for _, a := range all {
			roots = append(roots, a.Certificate)
		}
		for _, a := range below {
			issuers[a.ID] = a.Certificate
		}
		return err
	})
	return roots, issuers, err
}

// hierarchies returns every root and issuing CA on record, the root above the
// agents' issuers first.
func hierarchies(tx storage.Tx) (roots, issuers []ca.Authority, err error) {
	root, err := keys.Active(tx, keys.Root)
	if err != nil {
		return nil, nil, err
	}
	roots, issuers, err = ca.Authorities(tx)
	for i, a := range roots {
		if a.ID == root.ID {
			roots[0], roots[i] = roots[i], roots[0]
		}
	}
	return roots, issuers, err
}

// health serves liveness (the process answers) and readiness (the store can be
// read and the CRL is current).
func (s *Server) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if problems := s.problems(r.Context()); len(problems) > 0 {
			http.Error(w, strings.Join(problems, "\n"), http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ready\n"))
	})
}
