package acme

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
)

// enter records that the key is the account's. It fails if another account has
// it, or if it is a half of a composite key, which must not be used alone.
func (k *key) enter(tx storage.Tx, account string, now time.Time) error {
	if err := thumbprints.Create(tx, k.thumbprint, account); err != nil {
		return err
	}
	err := k.components().Register(tx, holder(account), now)
	if errors.Is(err, components.ErrShared) {
		return newProblem("badPublicKey", "%v", err)
	}
	return err
}

// leave ends what enter began.
func (k *key) leave(tx storage.Tx, account string, now time.Time) error {
	return errors.Join(thumbprints.Delete(tx, k.thumbprint), k.components().Release(tx, holder(account), now))
}

// components are one, as no account has a composite key.
func (k *key) components() components.Key {
	return components.Key{Whole: sha256.Sum256(k.spki)}
}

// holder is what an account is called among those who have registered keys. No
// agent has a slash in its name.
func holder(account string) string { return "acme/" + account }

// IndexComponents is agents.IndexComponents for the keys of accounts.
func IndexComponents(tx storage.Tx, now time.Time) error {
	for a, err := range accounts.Scan(tx, "") {
		if err != nil {
			return err
		}
		if err := a.key.components().Register(tx, holder(a.ID), now); err != nil && !errors.Is(err, components.ErrShared) {
			return err
		}
	}
	return nil
}
