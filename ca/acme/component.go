package acme

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
)

// enter records that the key is that of an account of the agent n. It fails if another
// account or another agent has the key, or if the key is a component of a composite, which
// must not be used alone.
func (k *key) enter(tx storage.Tx, account string, n agents.Name, now time.Time) error {
	if err := thumbprints.Create(tx, k.thumbprint, account); err != nil {
		return err
	}
	if err := agents.OwnKey(tx, n, k.components()[0], now); err != nil {
		if errors.Is(err, agents.ErrKeyShared) {
			return errors.Join(newProblem("badPublicKey", "%v", err), err)
		}
		return err
	}
	err := components.Replace(tx, agents.AccountHolder(account), nil, k.components(), now)
	if errors.Is(err, components.ErrShared) {
		return newProblem("badPublicKey", "%v", err)
	}
	return err
}

// leave undoes enter.
func (k *key) leave(tx storage.Tx, account string, now time.Time) error {
	return errors.Join(thumbprints.Delete(tx, k.thumbprint), components.Replace(tx, agents.AccountHolder(account), k.components(), nil, now))
}

// components returns what the key is made of: itself, as no account has a composite.
func (k *key) components() []components.Key {
	return []components.Key{{Whole: sha256.Sum256(k.spki)}}
}

// hash is that of the key in the audit log, where all public keys are named by the
// SHA-256 of their SPKI.
func (k *key) hash() string { return hex.EncodeToString(k.components()[0].Whole[:]) }

// KeyUses yields the keys of all accounts, for [components.Fill].
func KeyUses(tx storage.Tx) iter.Seq2[components.Use, error] {
	return func(yield func(components.Use, error) bool) {
		for a, err := range accounts.Scan(tx, "") {
			if err != nil {
				yield(components.Use{}, err)
				return
			}
			for _, k := range a.key.components() {
				if !yield(components.Use{Key: k, Holder: agents.AccountHolder(a.ID)}, nil) {
					return
				}
			}
		}
	}
}
