package tokens

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A KeySet is a JWK Set (RFC 7517, section 5).
type KeySet struct {
	Keys []json.RawMessage `json:"keys"`
}

// JWKS returns the public keys that tokens may be verified with: the active
// ones, the next ones ahead of time, and retired ones until the last token they
// signed is dead. Each says for which one algorithm it is; alg, if not empty,
// selects those of that algorithm.
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
		its, err := algorithm(public)
		if err != nil {
			return set, err
		}
		if alg != "" && alg != string(its) {
			continue
		}
		key, err := jwk(k.ID, its, public)
		if err != nil {
			return set, fmt.Errorf("token key %s: %w", k.ID, err)
		}
		set.Keys = append(set.Keys, key)
	}
	return set, nil
}

func publicKey(k keys.Key) (crypto.PublicKey, error) {
	if k.Purpose == keys.TokensPQ {
		return pqc.ParsePKIXPublicKey(k.Public)
	}
	return x509.ParsePKIXPublicKey(k.Public)
}

func jwk(id string, alg jose.SignatureAlgorithm, public crypto.PublicKey) ([]byte, error) {
	pq, ok := public.(*pqc.PublicKey)
	if !ok {
		return jose.JSONWebKey{Key: public, KeyID: id, Algorithm: string(alg), Use: "sig"}.MarshalJSON()
	}
	key, err := pq.JWK() // an object of kty, alg and pub (RFC 9964, section 3)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(key[:len(key)-1], `,"kid":%q,"use":"sig"}`, id), nil
}

// Algorithms are the names in JOSE of what tokens may be signed with.
func Algorithms() []string {
	names := []string{string(jose.ES256), string(jose.ES384), string(jose.EdDSA)}
	for _, a := range pqc.Algorithms() {
		if a.JOSE() != "" {
			names = append(names, a.JOSE())
		}
	}
	return names
}
