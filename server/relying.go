package server

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/http"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/limit"
	"github.com/brevet-ca/brevet/server/parties"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens"
)

// An offer is what a TLS client says of itself in its first message. It travels
// with the connection.
type offer struct{ takes parties.Signatures }

type offerKey struct{}

func withOffer(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, offerKey{}, new(offer))
}

// noteOffer keeps the offer, and changes nothing about the connection.
func noteOffer(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if o, ok := hello.Context().Value(offerKey{}).(*offer); ok {
		o.takes = parties.TLSSignatures(hello.SignatureSchemes)
	}
	return nil, nil
}

// relied says what it means, beside the use of HTTPS, that a route was answered.
var relied = map[string]parties.Use{
	"GET /chain.pem":                parties.Chain,
	"GET /issuer/{file}":            parties.Chain,
	"GET /crl/{file}":               parties.CRL,
	"POST " + ca.OCSPPath:           parties.OCSP,
	ocspByGET:                       parties.OCSP,
	"POST /v1/certificates":         parties.Certificate,
	"POST " + tokens.TokenPath:      parties.Token,
	"POST " + tokens.IntrospectPath: parties.Introspection,
	"GET " + tokens.JWKSPath:        parties.JWKS,
}

// noted remembers who relies on what is answered. Accounts of ACME and enrollments
// are left to those who know whose they are.
func (s *Server) noted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		answer, ok := w.(interface{ Status() int })
		if !ok || answer.Status() >= http.StatusBadRequest || r.Pattern == enrollRoute || strings.Contains(r.Pattern, acme.Path) {
			return
		}
		use := relied[r.Pattern]
		if use == parties.JWKS && r.URL.RawQuery != "" {
			if alg := r.URL.Query().Get("alg"); alg != "" {
				use = parties.JWKSOf(alg) // one of few, or it would not have been answered
			}
		}
		n, issuer := s.presenter(r, use)
		s.note(r, n, issuer, use)
	})
}

// noteACME remembers the client of an account, and the issuer of the certificate that
// it has fetched, if it has.
func (s *Server) noteACME(r *http.Request, n agents.Name, issuer string) {
	s.note(r, n, issuer, parties.ACME)
}

// note remembers a request of the agent n, or of nobody known, that has or had a
// certificate of the issuer.
func (s *Server) note(r *http.Request, n agents.Name, issuer string, use parties.Use) {
	seen := parties.Sighting{Agent: n, Address: limit.Address(r), UserAgent: r.UserAgent(), Use: use, Issuer: issuer, At: s.clock.Now()}
	if r.TLS != nil {
		seen.HTTPS = true
		if o, ok := r.Context().Value(offerKey{}).(*offer); ok {
			seen.Takes = o.takes
		}
	}
	if seen.HTTPS || use != "" {
		s.parties.Note(seen)
	}
}

// presenter returns the agent whose certificate was presented, and the certificate's
// issuer, for uses that are answered only if the certificate was found to be good.
func (s *Server) presenter(r *http.Request, use parties.Use) (n agents.Name, issuer string) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || len(r.TLS.PeerCertificates[0].URIs) != 1 {
		return "", ""
	}
	if use != parties.Certificate && use != parties.Token && use != parties.Introspection || r.Header.Get("Authorization") != "" {
		return "", ""
	}
	n, err := s.file.TrustDomain.ParseID(r.TLS.PeerCertificates[0].URIs[0].String())
	if err != nil {
		return "", ""
	}
	return n, hex.EncodeToString(r.TLS.PeerCertificates[0].AuthorityKeyId)
}

func (s *Server) loadParties() error {
	return s.db.View(context.Background(), func(tx storage.Tx) (err error) {
		s.parties, err = parties.Load(tx)
		return err
	})
}

// saveParties stores who relies on the authority: all, or what is worth a commit.
// A crash may forget what was seen since.
func (s *Server) saveParties(all bool) {
	var failed error
	for changes := range s.parties.Changes(s.clock.Now(), all).Batches() {
		if err := s.db.Update(context.Background(), changes.Save); err != nil {
			s.parties.Failed(changes)
			failed = err
		}
	}
	if failed != nil {
		s.Log.Warn("who relies on the authority could not be stored; trying again later", "error", failed)
	}
}
