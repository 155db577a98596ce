package ca

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
)

// components returns what a composite key is made of, as the hashes of the
// SubjectPublicKeyInfo that each half would have alone. Other keys have none.
func components(k *pqc.PublicKey) ([][sha256.Size]byte, error) {
	if !k.Algorithm().Composite() {
		return nil, nil
	}
	return k.ComponentIDs()
}

// checkComponents refuses a composite of which a half is a key that the agent
// has registered or has a live certificate for, alone or as a half of another
// composite, and an ML-DSA key that is such a half: a component key must not be
// used anywhere else (draft-ietf-lamps-pq-composite-sigs-19, sections 5.3 and
// 9.3). The keys of other agents are not looked through.
func checkComponents(tx storage.Tx, a agents.Agent, asked *CSR, now time.Time) error {
	if !asked.postQuantum {
		return nil
	}
	known, err := agents.Keys(tx, a, now)
	if err != nil {
		return err
	}
	alone := sha256.Sum256(asked.PublicKey)
	for _, spki := range known {
		if slices.Contains(asked.components, sha256.Sum256(spki)) {
			return errComponent
		}
		if string(spki) == string(asked.PublicKey) {
			continue // a renewal
		}
		k, err := pqc.ParsePKIXPublicKey(spki)
		if errors.Is(err, pqc.ErrUnknownAlgorithm) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading a key of %s: %w", a.Name, err)
		}
		halves, err := components(k)
		if err != nil {
			return fmt.Errorf("reading a key of %s: %w", a.Name, err)
		}
		if slices.Contains(halves, alone) || slices.ContainsFunc(halves, func(id [sha256.Size]byte) bool { return slices.Contains(asked.components, id) }) {
			return errComponent
		}
	}
	return nil
}

var errComponent = fmt.Errorf("%w key: it shares a component of a composite key with another key of the agent; make a fresh one", agents.ErrInvalid)
