package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// NextIssuer has the root sign the certificate of a new issuing key. Only then does
// a running authority unseal its root key. If the authority's HTTPS has a root of
// its own, that root signs the issuers for HTTPS.
func (ca *CA) NextIssuer(ctx context.Context, k keys.Key, lifetime time.Duration) (Authority, error) {
	key, root, name, err := ca.above(ctx, k.Purpose)
	if err != nil {
		return Authority{}, err
	}
	issuer, err := ca.open(key, root)
	if err != nil {
		return Authority{}, err
	}
	return NewIssuing(name, k, issuer, lifetime, ca.clock.Now())
}

// RootOnline reports whether the key of the root above the issuers of a purpose is here.
func (ca *CA) RootOnline(ctx context.Context, p keys.Purpose) (bool, error) {
	key, _, _, err := ca.above(ctx, p)
	if err != nil {
		return false, err
	}
	return ca.keys.Has(key)
}

// above returns the root above the issuers of a purpose, and the authority's name.
func (ca *CA) above(ctx context.Context, p keys.Purpose) (key keys.Key, root Authority, name string, err error) {
	err = ca.db.View(ctx, func(tx storage.Tx) (err error) {
		key, err = keys.Active(tx, keys.Root)
		if p == keys.HTTPSIssuer {
			if https, err2 := keys.Active(tx, keys.HTTPSRoot); !errors.Is(err2, storage.ErrNotFound) {
				key, err = https, err2
			}
		}
		if err != nil {
			return err
		}
		root, err = getAuthority(tx, key.ID)
		return err
	})
	if err != nil {
		return key, root, "", fmt.Errorf("finding the root: %w", err)
	}
	cert, err := x509.ParseCertificate(root.Certificate)
	if err != nil {
		return key, root, "", err
	}
	return key, root, strings.TrimSuffix(strings.TrimSuffix(cert.Subject.CommonName, httpsRootSuffix), rootSuffix), nil
}
