package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Trial has what an issuer of some algorithm would issue. Nobody trusts the issuer
// that signed it: the issuer's keys and root are made for the trial and then
// forgotten.
type Trial struct {
	Issuer *Issuer
	Leaf   []byte // DER certificate
}

// Trial issues what an issuer of purpose p and algorithm a would issue, under a root
// like the present one. For agents that is a certificate with the names of the one
// that was issued last; if none is on record, for an agent without further names.
func (ca *CA) Trial(ctx context.Context, p keys.Purpose, a keys.Algorithm) (*Trial, error) {
	issuer, err := ca.trialIssuer(ctx, p, a)
	if err != nil {
		return nil, fmt.Errorf("trying out a %s of algorithm %s: %w", p, a, err)
	}
	now := ca.clock.Now()
	like := Certificate{Credential: agents.Credential{Agent: "agent"}, HostName: true}
	profiles := *ca.profiles.Load()
	profile := profiles[DefaultProfile]
	if p == keys.HTTPSIssuer {
		like.Agent, profile = agents.Authority, profiles[serverProfile]
	}
	err = ca.db.View(ctx, func(tx storage.Tx) error {
		for c, err := range Since(tx, now) {
			if err != nil {
				return err
			}
			if _, person := c.Agent.Person(); !person && (c.Agent == agents.Authority) == (like.Agent == agents.Authority) && c.IssuedAt.After(like.IssuedAt) {
				like = c
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if like.ID, err = agents.NewCredentialID(now.Add(time.Minute)); err != nil {
		return nil, err
	}
	like.NotBefore = now
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	leaf, err := issuer.sign(like, profile, ca.td, Request{CSR: &CSR{PublicKey: spki}})
	return &Trial{issuer, leaf}, err
}

func (ca *CA) trialIssuer(ctx context.Context, p keys.Purpose, a keys.Algorithm) (*Issuer, error) {
	roots, name, err := ca.above(ctx, p)
	if err != nil {
		return nil, err
	}
	like := roots[0].Key
	rootSigner, _, err := trialKey(like.Purpose, like.Algorithm, ca.clock.Now())
	if err != nil {
		return nil, err
	}
	signer, key, err := trialKey(p, a, ca.clock.Now())
	if err != nil {
		return nil, err
	}
	root, err := newRoot(like.Purpose, name, 1, rootSigner, time.Hour, ca.clock.Now(), nil)
	if err != nil {
		return nil, err
	}
	above, err := RootIssuer(root, rootSigner, ca.baseURL())
	if err != nil {
		return nil, err
	}
	issuing, err := NewIssuing(name, key, above, time.Hour, ca.clock.Now())
	if err != nil {
		return nil, err
	}
	return newIssuer([]Authority{issuing}, signer, ca.baseURL())
}

func trialKey(p keys.Purpose, a keys.Algorithm, now time.Time) (Signer, keys.Key, error) {
	key, private, err := keys.Trial(p, a, now)
	if err != nil {
		return Signer{}, key, err
	}
	s, err := NewSigner(private)
	return s, key, err
}
