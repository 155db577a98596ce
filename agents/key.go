package agents

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A PublicKey is a DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
type PublicKey []byte

// ParsePublicKey reads one PEM block of type PUBLIC KEY (RFC 7468, section 13).
func ParsePublicKey(text []byte) (PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w public key: want one PEM block \"PUBLIC KEY\", as openssl pkey -pubout writes it", ErrInvalid)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w public key: %v", ErrInvalid, err)
	}
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	return block.Bytes, nil
}

// Keys returns the public keys that prove the agent's identity at now: the
// registered ones and those in its latest certificates that are alive.
func Keys(tx storage.Tx, a Agent, now time.Time) ([]PublicKey, error) {
	recent, err := certified.Get(tx, string(a.Name))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	keys := slices.Clip(a.Keys)
	standing := NewStanding(tx, now)
	for _, c := range recent {
		if _, err := standing.Check(c.Credential); err == nil {
			keys = append(keys, c.Key)
		}
	}
	return keys, nil
}
