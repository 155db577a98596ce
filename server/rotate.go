package server

import (
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// issuerLifetime is the lifetime of an issuer made by rotation.
const issuerLifetime = 90 * 24 * time.Hour

// rotate makes a new key of the same algorithm and puts it to work. What the
// old one signed lives on: its issuer's CRL and its place in the JWKS stay.
func (s *Server) rotate(ctx context.Context, r policy.Request, p keys.Purpose) error {
	if p == keys.Root {
		return policy.Deny(ctx, s.db, s.Now(), r,
			fmt.Errorf("%w purpose: everybody trusts the root by its fingerprint, so a new root is a new authority: brevet init in another --dir", agents.ErrInvalid))
	}
	var old keys.Key
	err := s.db.View(ctx, func(tx storage.Tx) (err error) {
		old, err = keys.Active(tx, p)
		return err
	})
	if err != nil {
		return err
	}
	now := s.Now()
	next, _, err := s.keys.Generate(p, old.Algorithm, now)
	if err != nil {
		return err
	}
	var certificate *ca.Authority
	if p == keys.Issuer {
		a, err := s.ca.NextIssuer(ctx, next.Public, issuerLifetime)
		if err != nil {
			return err
		}
		certificate = &a
	}
	err = policy.Do(ctx, s.db, now, r, func(tx storage.Tx) (policy.Grant, error) {
		g := policy.Grant{Reasons: []string{"from " + old.ID + " to " + next.ID}}
		if _, err := keys.Record(tx, next, keys.StateNext, now); err != nil {
			return g, err
		}
		if certificate != nil {
			if err := ca.PutAuthority(tx, *certificate); err != nil {
				return g, err
			}
		}
		_, err := keys.Promote(tx, next.ID, now)
		return g, err
	})
	if err != nil {
		return err
	}
	return s.reload(ctx, p)
}

// reload puts a key that was promoted to work.
func (s *Server) reload(ctx context.Context, p keys.Purpose) error {
	switch p {
	case keys.Tokens:
		return s.tokens.Reload()
	case keys.Audit:
		return s.loadAuditKey()
	case keys.Issuer:
		if err := s.ca.Reload(); err != nil {
			return err
		}
		_, err := s.crl.PublishRegular(ctx)
		return err
	}
	return nil
}
