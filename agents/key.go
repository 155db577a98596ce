package agents

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/pqc"
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
	if err := checkPublicKey(block.Bytes); err != nil {
		return nil, err
	}
	return block.Bytes, nil
}

func checkPublicKey(spki PublicKey) error {
	pq, err := pqc.ParsePKIXPublicKey(spki)
	if err == nil {
		if pq.Algorithm().JOSE() == "" {
			return fmt.Errorf("%w public key: %s has no name in JOSE here, so that nobody could authenticate with it", ErrInvalid, pq.Algorithm())
		}
		return nil
	}
	if !errors.Is(err, pqc.ErrUnknownAlgorithm) {
		return fmt.Errorf("%w public key: %v", ErrInvalid, err)
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return fmt.Errorf("%w public key: %v", ErrInvalid, err)
	}
	if err := CheckKey(key); err != nil {
		return err
	}
	return CheckEncoding(spki, key)
}

// keepApart refuses keys of an agent, registered or certified, that have a
// component in common: those of a composite must not be used elsewhere
// (draft-ietf-lamps-pq-composite-sigs-19, section 9.3), or who breaks one of them
// has broken the other key as well.
func keepApart(tx storage.Tx, a Agent, now time.Time) error {
	keys, err := Keys(tx, a, now)
	if err != nil {
		return err
	}
	seen := map[[sha256.Size]byte]PublicKey{}
	for _, k := range keys {
		ids := [][sha256.Size]byte{sha256.Sum256(k)}
		if pq, err := pqc.ParsePKIXPublicKey(k); err == nil {
			if ids, err = pq.ComponentIDs(); err != nil {
				return fmt.Errorf("components of a public key: %w", err)
			}
		}
		for _, id := range ids {
			if other, known := seen[id]; known && !bytes.Equal(other, k) {
				return fmt.Errorf("%w public key: two keys of the agent have a component in common, and a component of a composite key must not be used elsewhere", ErrInvalid)
			}
			seen[id] = k
		}
	}
	return nil
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
	for entry, err := range recent.entries() {
		if err != nil {
			return nil, err
		}
		c := readCurrent(entry)
		if _, err := standing.Check(c.Credential); err == nil {
			keys = append(keys, c.Key)
		}
	}
	return keys, nil
}
