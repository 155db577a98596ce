package server

import (
	"context"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// relied says which use of the authority, besides HTTPS, an answered route shows.
var relied = map[string]relying.Use{
	"GET /chain.pem":                  relying.Chain,
	"GET /issuer/{file}":              relying.Chain,
	"GET /crl/{file}":                 relying.CRL,
	"GET " + crl.BundlePath:           relying.CRL,
	"POST " + ca.OCSPPath:             relying.OCSP,
	ocspByGET:                         relying.OCSP,
	"POST " + enroll.CertificatesPath: relying.Certificate,
	"POST " + oauth.TokenPath:         relying.Token,
	"POST " + oauth.IntrospectPath:    relying.Introspection,
	"GET " + oauth.JWKSPath:           relying.JWKS,
}

// newObserver returns an observer of relying parties that knows those on record.
func newObserver(ctx context.Context, db storage.DB, td agents.TrustDomain, c *clock.Clock) (*relying.Observer, error) {
	o := &relying.Observer{
		TrustDomain: td, Clock: c, Uses: relied,
		Elsewhere: func(route string) bool { return route == "POST "+enroll.Path || strings.Contains(route, acme.Path) },
	}
	err := db.View(ctx, func(tx storage.Tx) (err error) {
		o.Register, err = relying.Load(tx)
		return err
	})
	return o, err
}
