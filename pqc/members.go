package pqc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// members are those of a JSON object, as they were written.
type members map[string]json.RawMessage

// readJWK reads one JSON object. encoding/json's own struct reading would take the
// last of two members with one name, and "ALG" for "alg".
func readJWK(b []byte) (members, error) {
	if len(b) > maxJWK {
		return nil, fmt.Errorf("longer than %d octets", maxJWK)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("must be a JSON object")
	}
	m := members{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errors.New("must be a JSON object")
		}
		key := name.(string) // the decoder allows nothing else here
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("must be a JSON object")
		}
		if _, twice := m[key]; twice {
			return nil, fmt.Errorf("the member %.80q stands twice", key)
		}
		m[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("must be a JSON object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return m, nil
}

// publicKey reads kty, alg and pub, and checks that use and key_ops, where they
// stand, allow the operation (RFC 7517, sections 4.2 and 4.3).
func (m members) publicKey(operation string) (*PublicKey, error) {
	kty, err := m.text("kty")
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	name, err := m.text("alg")
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
	raw, err := m.octets("pub")
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	return NewPublicKey(alg, raw)
}

func (m members) checkUse(operation string) error {
	if _, ok := m["use"]; ok {
		if use, err := m.text("use"); err != nil || use != "sig" {
			return errors.New(`use must be "sig"`)
		}
	}
	ops, ok := m["key_ops"]
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

func (m members) text(name string) (string, error) {
	var s string
	if v := m[name]; len(v) == 0 || v[0] != '"' || json.Unmarshal(v, &s) != nil {
		return "", fmt.Errorf("%s must be a string", name)
	}
	return s, nil
}

func (m members) octets(name string) ([]byte, error) {
	s, err := m.text(name)
	if err != nil {
		return nil, err
	}
	b, err := base64url.DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // which the decoder skips
		return nil, fmt.Errorf("%s must be base64url without padding", name)
	}
	return b, nil
}
