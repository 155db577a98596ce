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

// NextIssuer has the root sign the certificate of a new issuing key. It is the
// only time that a running authority unseals its root key. Where the authority's
// own HTTPS has a root of its own, that signs its issuers.
func (ca *CA) NextIssuer(ctx context.Context, k keys.Key, lifetime time.Duration) (Authority, error) {
	var key keys.Key
	var root Authority
	err := ca.db.View(ctx, func(tx storage.Tx) (err error) {
		key, err = keys.Active(tx, keys.Root)
		if k.Purpose == keys.HTTPSIssuer {
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
		return Authority{}, fmt.Errorf("finding the root: %w", err)
	}
	private, err := ca.keys.Signer(key)
	if err != nil {
		return Authority{}, err
	}
	s, err := NewSigner(private)
	if err != nil {
		return Authority{}, err
	}
	issuer, err := RootIssuer(root, s)
	if err != nil {
		return Authority{}, err
	}
	cert, err := x509.ParseCertificate(root.Certificate)
	if err != nil {
		return Authority{}, err
	}
	name := strings.TrimSuffix(strings.TrimSuffix(cert.Subject.CommonName, httpsRootSuffix), rootSuffix)
	return NewIssuing(name, k, issuer, lifetime, ca.now())
}
