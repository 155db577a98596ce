package tokens

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A KeySet is a JWK Set (RFC 7517, section 5).
type KeySet struct {
	Keys []json.RawMessage `json:"keys"`
}

// JWKS returns the public keys that verify tokens: the active ones, the next ones
// ahead of time, and retired ones until the last token that they signed is dead. A key
// that is compromised is not among them.
// Each key is for one algorithm, which it names. alg selects the keys of that
// algorithm, unless it is empty.
func JWKS(tx storage.Tx, alg string, now time.Time) (KeySet, error) {
	set := KeySet{Keys: []json.RawMessage{}}
	err := eachPublished(tx, now, func(_ keys.Key, key jose.Key) error {
		if alg != "" && alg != key.Algorithm {
			return nil
		}
		text, err := key.MarshalJSON()
		set.Keys = append(set.Keys, text)
		return err
	})
	return set, err
}

// SigningAlgorithms returns the JOSE names of the algorithms that the keys in the JWK Set
// are for, those of the active keys first. Some relying parties accept no others.
func SigningAlgorithms(tx storage.Tx, now time.Time) ([]string, error) {
	var active, all []string
	err := eachPublished(tx, now, func(k keys.Key, key jose.Key) error {
		if all = append(all, key.Algorithm); k.State == keys.StateActive {
			active = append(active, key.Algorithm)
		}
		return nil
	})
	var names []string
	for _, name := range append(active, all...) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, err
}

// eachPublished calls fn with each key that is published.
func eachPublished(tx storage.Tx, now time.Time, fn func(keys.Key, jose.Key) error) error {
	all, err := Purposes().List(tx)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.State == keys.StateRetired && now.After(k.Retired.Add(KeptFor)) {
			continue
		}
		if compromised, err := agents.IssuerCompromised(tx, k.ID); err != nil {
			return err
		} else if compromised {
			continue
		}
		key := jose.Key{ID: k.ID}
		if key.Public, err = publicKey(k); err == nil {
			if key.Algorithm, err = jose.Algorithm(key.Public); err == nil {
				err = fn(k, key)
			}
		}
		if err != nil {
			return fmt.Errorf("token key %s: %w", k.ID, err)
		}
	}
	return nil
}

func publicKey(k keys.Key) (crypto.PublicKey, error) {
	if k.Purpose == keys.TokensPQ {
		return pqc.ParsePKIXPublicKey(k.Public)
	}
	return x509.ParsePKIXPublicKey(k.Public)
}

// Algorithms are the JOSE names of the algorithms that may sign tokens.
func Algorithms() []string {
	return append([]string{jose.ES256, jose.ES384, jose.EdDSA}, jose.PostQuantum()...)
}
