package tokens

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
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
// ahead of time, and retired ones until the last token that they signed is dead.
// Each key is for one algorithm, which it names. alg selects the keys of that
// algorithm, unless it is empty.
func JWKS(tx storage.Tx, alg string, now time.Time) (KeySet, error) {
	set := KeySet{Keys: []json.RawMessage{}}
	all, err := Purposes().List(tx)
	if err != nil {
		return set, err
	}
	for _, k := range all {
		if k.State == keys.StateRetired && now.After(k.Retired.Add(maxLifetime+agents.ClockTolerance)) {
			continue
		}
		public, err := publicKey(k)
		if err != nil {
			return set, fmt.Errorf("token key %s: %w", k.ID, err)
		}
		key := jose.Key{ID: k.ID, Public: public}
		if key.Algorithm, err = jose.Algorithm(public); err != nil {
			return set, fmt.Errorf("token key %s: %w", k.ID, err)
		}
		if alg != "" && alg != key.Algorithm {
			continue
		}
		text, err := key.MarshalJSON()
		if err != nil {
			return set, fmt.Errorf("token key %s: %w", k.ID, err)
		}
		set.Keys = append(set.Keys, text)
	}
	return set, nil
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
