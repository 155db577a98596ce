package server

import (
	"bytes"
	"encoding/pem"
	"log/slog"
	"net/http"
	"strings"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage/audit"
)

// certificates serves the certificates of the authority's roots and issuers.
type certificates struct {
	authority *authority.Authority
	log       *slog.Logger
}

// roots serves the trust anchors. A client that fetches them over a connection it
// cannot verify yet compares their fingerprint.
func (c certificates) roots(w http.ResponseWriter, r *http.Request) {
	p, err := c.authority.Published(r.Context())
	if err != nil {
		c.unreadable(w, r, err)
		return
	}
	servePEM(w, p.Roots)
}

// cross serves what shows whoever trusts one root that the others are this authority's,
// too: cross-certificates, and the CRLs of the roots. Those that trust the old root learn
// of a new one by it, and those that trust both learn that the old one is withdrawn.
func (c certificates) cross(w http.ResponseWriter, r *http.Request) {
	p, err := c.authority.Published(r.Context())
	if err != nil {
		c.unreadable(w, r, err)
		return
	}
	text := bytes.NewBuffer(ca.PEM(p.Cross...))
	for _, l := range c.authority.CRL.RootLists() {
		pem.Encode(text, &pem.Block{Type: "X509 CRL", Bytes: l.DER})
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "public, no-cache")
	w.Write(text.Bytes())
}

// chain serves the active issuer's certificates and those above it.
func (c certificates) chain(w http.ResponseWriter, _ *http.Request) {
	servePEM(w, c.authority.CA.Issuer().Chain)
}

func servePEM(w http.ResponseWriter, certs [][]byte) {
	w.Header().Set("Content-Type", "application/pem-certificate-chain") // RFC 8555, section 9.1
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Write(ca.PEM(certs...))
}

// issuer serves CA certificates where AIA points to (RFC 5280, section
// 4.2.2.1: a single certificate in DER).
func (c certificates) issuer(w http.ResponseWriter, r *http.Request) {
	id, _ := strings.CutSuffix(r.PathValue("file"), ".cer")
	p, err := c.authority.Published(r.Context())
	if err != nil {
		c.unreadable(w, r, err)
		return
	}
	der, ok := p.ByID[id]
	if !ok || id == r.PathValue("file") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-cert") // RFC 2585, section 4.1
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write(der)
}

// unreadable answers when the store could not be read.
func (c certificates) unreadable(w http.ResponseWriter, r *http.Request, err error) {
	c.log.Error("refused", "request", audit.RequestOf(r.Context()), "route", r.Pattern, "status", http.StatusServiceUnavailable, "reason", err.Error())
	enroll.WriteProblem(w, "about:blank", http.StatusServiceUnavailable, "the request could not be completed; try again shortly")
}

// health serves liveness (the process answers) and readiness (the authority can issue and
// answer). Strangers read both, so they learn the level and no reason.
func (s *Server) health(mux *routes) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		level, ready := s.authority.Ready(r.Context())
		if !ready {
			http.Error(w, string(level), http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte(string(level) + "\n"))
	})
}
