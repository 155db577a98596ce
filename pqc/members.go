package pqc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// members are those of a JWK, as they were written.
type members struct{ strict.Object }

// readJWK reads one JSON object.
func readJWK(b []byte) (members, error) {
	if len(b) > maxJWK {
		return members{}, fmt.Errorf("longer than %d octets", maxJWK)
	}
	o, err := strict.ParseObject(b)
	return members{o}, err
}

// publicKey reads kty, alg and pub, and checks that use and key_ops, where they
// stand, allow the operation (RFC 7517, sections 4.2 and 4.3).
func (m members) publicKey(operation string) (*PublicKey, error) {
	kty, err := m.Text("kty")
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	name, err := m.Text("alg")
	if kty != keyType || err != nil {
		return nil, fmt.Errorf("JWK: %w: kty must be %s and alg must stand", ErrUnknownAlgorithm, keyType)
	}
	alg, err := AlgorithmByJOSE(name)
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	if err := m.checkUse(operation); err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	raw, err := m.Octets("pub")
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	return NewPublicKey(alg, raw)
}

func (m members) checkUse(operation string) error {
	if m.Has("use") {
		if use, err := m.Text("use"); err != nil || use != "sig" {
			return errors.New(`use must be "sig"`)
		}
	}
	ops, ok := m.Object["key_ops"]
	if !ok {
		return nil
	}
	var list []string
	if err := json.Unmarshal(ops, &list); err != nil {
		return errors.New("key_ops must be an array of strings")
	}
	if !slices.Contains(list, operation) {
		return fmt.Errorf("key_ops must contain %q", operation)
	}
	return nil
}
