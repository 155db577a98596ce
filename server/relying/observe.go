package relying

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/http"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/server/clientcert"
	"github.com/brevet-ca/brevet/server/limit"
)

// An Observer notes in a register which clients were answered over HTTP.
type Observer struct {
	*Register
	TrustDomain agents.TrustDomain
	Clock       *clock.Clock

	// Uses says which use of the authority, besides HTTPS, an answered route shows.
	Uses map[string]Use
	// Elsewhere reports whether the handlers of a route call Note themselves, because
	// only they know who the agent is.
	Elsewhere func(route string) bool
}

// An offer is what a TLS client says about itself in its first message. It is kept
// with the connection.
type offer struct{ takes Signatures }

type offerKey struct{}

// ConnContext makes room in a connection's context for what its client offers in TLS.
func ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, offerKey{}, new(offer))
}

// KeepOffer is a [tls.Config.GetConfigForClient] that keeps what the client offers and
// changes nothing about the connection.
func KeepOffer(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if o, ok := hello.Context().Value(offerKey{}).(*offer); ok {
		o.takes = tlsSignatures(hello.SignatureSchemes)
	}
	return nil, nil
}

// Handler notes the clients that next answers. The status of the answer comes from
// the ResponseWriter's method Status.
func (o *Observer) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		answer, ok := w.(interface{ Status() int })
		if !ok || answer.Status() >= http.StatusBadRequest || o.Elsewhere(r.Pattern) {
			return
		}
		use := o.Uses[r.Pattern]
		if use == JWKS && r.URL.RawQuery != "" {
			if alg := r.URL.Query().Get("alg"); alg != "" {
				use = jwksOf(alg) // one of few, or it would not have been answered
			}
		}
		n, issuer := o.presenter(r, use)
		o.Request(r, n, issuer, use)
	})
}

// Request notes a request. n is the agent that made it, "" if that is not known, and
// issuer is the one of its certificate.
func (o *Observer) Request(r *http.Request, n agents.Name, issuer string, use Use) {
	seen := Observation{Agent: n, Address: limit.Address(r), UserAgent: r.UserAgent(), Use: use, Issuer: issuer, At: o.Clock.Now()}
	if r.TLS != nil {
		seen.HTTPS = true
		if offered, ok := r.Context().Value(offerKey{}).(*offer); ok {
			seen.Takes = offered.takes
		}
	}
	if seen.HTTPS || use != "" {
		o.Note(seen)
	}
}

// proving are the uses that are answered only after the certificate was checked.
var proving = []Use{Certificate, Token, Introspection}

// presenter returns the agent whose certificate was presented, and the certificate's
// issuer, if the answer shows that the certificate is good.
func (o *Observer) presenter(r *http.Request, use Use) (n agents.Name, issuer string) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || len(r.TLS.PeerCertificates[0].URIs) != 1 {
		return "", ""
	}
	if clientcert.Present(r.Header) { // the certificate is the proxy's
		return "", ""
	}
	if !slices.Contains(proving, use) || r.Header.Get("Authorization") != "" {
		return "", ""
	}
	n, err := o.TrustDomain.ParseID(r.TLS.PeerCertificates[0].URIs[0].String())
	if err != nil {
		return "", ""
	}
	return n, hex.EncodeToString(r.TLS.PeerCertificates[0].AuthorityKeyId)
}
