package ca

import (
	"context"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// NextIssuer has each root that is published sign a certificate of a new issuing key. Only
// then does a running authority unseal its root keys. See [Above] for which roots sign.
func (ca *CA) NextIssuer(ctx context.Context, k keys.Key, lifetime time.Duration) ([]Authority, error) {
	roots, name, err := ca.above(ctx, k.Purpose)
	if err != nil {
		return nil, err
	}
	return certify(roots, name, ca.keys, ca.baseURL(), k, lifetime, ca.clock.Now())
}

// CertifyIssuer is [CA.NextIssuer] for an authority that has no issuer any more: its roots
// above issuers of this purpose sign.
func CertifyIssuer(roots []Root, source keys.Source, baseURL string, k keys.Key, lifetime time.Duration, now time.Time) ([]Authority, error) {
	name, err := roots[0].name()
	if err != nil {
		return nil, err
	}
	return certify(roots, name, source, baseURL, k, lifetime, now)
}

func certify(roots []Root, name string, source keys.Source, baseURL string, k keys.Key, lifetime time.Duration, now time.Time) ([]Authority, error) {
	var certs []Authority
	for _, r := range roots {
		root, err := r.open(source, baseURL)
		if err != nil {
			return nil, err
		}
		c, err := NewIssuing(name, k, root, lifetime, now)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// RootOnline reports whether the keys of the roots above the issuers of a purpose are here.
func (ca *CA) RootOnline(ctx context.Context, p keys.Purpose) (bool, error) {
	roots, _, err := ca.above(ctx, p)
	if err != nil {
		return false, err
	}
	for _, r := range roots {
		if online, err := ca.Online(r); err != nil || !online {
			return false, err
		}
	}
	return true, nil
}

// above returns the roots above the issuers of a purpose, and the authority's name.
func (ca *CA) above(ctx context.Context, p keys.Purpose) (roots []Root, name string, err error) {
	err = ca.db.View(ctx, func(tx storage.Tx) (err error) {
		roots, err = Above(tx, p)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	name, err = roots[0].name()
	return roots, name, err
}
