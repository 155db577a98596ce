package agents

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
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

// A Current is the key in the certificate that an agent was issued last. It
// authenticates private_key_jwt assertions while that certificate lives.
type Current struct {
	Credential Credential
	Key        PublicKey
}

const current = storage.Table[Current]("current")

// SetCurrent records that c is the agent's current certificate.
func SetCurrent(tx storage.Tx, c Current) error {
	return current.Put(tx, string(c.Credential.Agent), c)
}

// GetCurrent returns the agent's current certificate and its key, dead or
// alive, or [storage.ErrNotFound] if it never had one.
func GetCurrent(tx storage.Tx, n Name) (Current, error) { return current.Get(tx, string(n)) }

// Keys returns the public keys that prove the agent's identity at now: the
// registered ones and the one in its current certificate if that is alive.
func Keys(tx storage.Tx, a Agent, now time.Time) ([]PublicKey, error) {
	keys := a.Keys
	c, err := GetCurrent(tx, a.Name)
	if errors.Is(err, storage.ErrNotFound) {
		return keys, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := NewStanding(tx, now).Check(c.Credential); err != nil {
		return keys, nil
	}
	return append(keys[:len(keys):len(keys)], c.Key), nil
}
