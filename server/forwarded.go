package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/server/clientcert"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// Proxies that terminate TLS may forward the certificates of their clients to /oauth/, in the
// header field Client-Cert (RFC 9440). The proxy authenticates by a certificate of its own,
// whose agent has the scope brevet:proxy. From everybody else, and anywhere else, the field is
// refused and not ignored: a proxy that is configured so would have clients believe that they
// authenticate.

// forwardingOnly refuses forwarded certificates outside of /oauth/.
func forwardingOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if clientcert.Present(r.Header) && !strings.HasPrefix(r.URL.Path, "/oauth/") {
			enroll.WriteProblem(w, "about:blank", http.StatusBadRequest, "Client-Cert is taken at /oauth/ only: clients must reach this endpoint themselves, or through a proxy that does not terminate TLS")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A forwarding takes certificates from proxies.
type forwarding struct {
	db     storage.DB
	policy *policy.Point
	clock  *clock.Clock
	oauth  *oauth.Server
}

type forwardedKey struct{}

// handler reads the forwarded certificate of a request for next, if there is one.
func (f forwarding) handler(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !clientcert.Present(r.Header) {
			next(w, r)
			return
		}
		cert, err := f.read(r)
		if err != nil {
			f.oauth.Refuse(w, r, err)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), forwardedKey{}, cert)))
	}
}

// errNoProxy says that a sender may not forward certificates.
var errNoProxy = oauth.InvalidRequest("Client-Cert is taken only from a proxy that presents the certificate of an agent with the scope brevet:proxy")

// read returns the certificate that a proxy forwards. It looks at nothing in the field before
// the sender has proven to be a proxy.
func (f forwarding) read(r *http.Request) (*x509.Certificate, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, errNoProxy
	}
	var sender agents.Name
	err := f.db.View(r.Context(), func(tx storage.Tx) error {
		p, err := forwarder(tx, r, f.clock.Now())
		if sender = p.Agent; err == nil {
			admission.Of(r.Context()).Through(sender)
		}
		return err
	})
	switch {
	case policy.IsDenial(err) && sender != "":
		q := policy.Query{Principal: policy.Anonymous, Action: audit.TokenMint, Subject: string(sender), Time: f.clock.Now()}
		return nil, fmt.Errorf("%w (%w)", errNoProxy, f.policy.Refuse(r.Context(), q, fmt.Errorf("forwarding a certificate: %w", err)))
	case policy.IsDenial(err), errors.Is(err, ca.ErrNotOurs):
		return nil, fmt.Errorf("%w (%w)", errNoProxy, err)
	case err != nil:
		return nil, err
	}
	der, err := clientcert.Parse(r.Header)
	if err != nil {
		return nil, oauth.InvalidRequest(err.Error())
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, oauth.InvalidRequest("Client-Cert holds no certificate")
	}
	return cert, nil
}

// forwarder returns the proxy that a request came through. With an error it returns the
// agent whose certificate the sender presented, if that is known.
func forwarder(tx storage.Tx, r *http.Request, now time.Time) (*oauth.Forwarder, error) {
	a, c, err := ca.Authenticate(tx, r.TLS.PeerCertificates[0], now)
	if err == nil {
		var held agents.Holdings
		if held, err = agents.Held(tx, &a, now); err == nil && !held.Has(agents.ScopeProxy) {
			err = fmt.Errorf("%w: %s has not the scope %s", oauth.ErrClient, c.Agent, agents.ScopeProxy)
		}
	}
	return &oauth.Forwarder{Agent: c.Agent, Credential: c.Credential}, err
}

// presented returns, for package oauth, the certificate that the client of r presented, or
// nil. A proxy's own certificate authenticates no client: whoever reaches the proxy could
// use it.
func presented(tx storage.Tx, r *http.Request, now time.Time) (*oauth.Presented, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	cert, forwarded := r.Context().Value(forwardedKey{}).(*x509.Certificate)
	if !forwarded {
		p, err := authenticated(tx, r.TLS.PeerCertificates[0], now)
		proxy, err := isProxy(tx, p, err)
		if proxy {
			admission.Of(r.Context()).Through(p.Agent.Name)
			return nil, nil
		}
		return p, err
	}
	via, err := forwarder(tx, r, now)
	if err != nil {
		return &oauth.Presented{Agent: agents.Agent{Name: via.Agent}}, err
	}
	p, err := authenticated(tx, cert, now)
	proxy, err := isProxy(tx, p, err)
	if err == nil && (proxy || !p.Agent.Name.OfAgent()) {
		err = fmt.Errorf("%w: the certificate is that of a proxy, a person or this server", oauth.ErrClient)
	}
	if err != nil {
		return p, fmt.Errorf("a certificate that %s forwarded: %w", via.Agent, err)
	}
	p.Forwarder = via
	return p, nil
}

// isProxy reports whether a client that was authenticated may forward certificates, or might
// until its grant ended: its certificate is still that of a proxy. err is that of the
// authentication.
func isProxy(tx storage.Tx, p *oauth.Presented, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	held, err := agents.HeldEver(tx, &p.Agent)
	return held.Has(agents.ScopeProxy), err
}

// authenticated returns the agent of a certificate. If the certificate may not be used, it
// is returned with the error if it names an agent.
func authenticated(tx storage.Tx, cert *x509.Certificate, now time.Time) (*oauth.Presented, error) {
	a, c, err := ca.Authenticate(tx, cert, now)
	if errors.Is(err, ca.ErrNotOurs) {
		err = fmt.Errorf("%w: %w", oauth.ErrClient, err)
	}
	if c.Agent == "" {
		return nil, err
	}
	a.Name = c.Agent
	return &oauth.Presented{Agent: a, Credential: c.Credential, Thumbprint: c.Fingerprint}, err
}
