package agents

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A public key belongs to one agent, to one operator or to the authority. [OwnKey] is the one
// check: every transaction that registers or certifies a key calls it. Two indexes say whose
// a key is: that of package components for registered keys and keys of ACME accounts, and
// keyOwners for certified ones.

// ErrKeyShared refuses the public key of another agent. The error around it says to nobody
// whose it is: see [SharedKey].
var ErrKeyShared = NewRefusal("key_shared", "the key is in use elsewhere: a key belongs to one agent; make a fresh one", ErrInvalid)

// A SharedKey is an [ErrKeyShared] that knows who has the key.
type SharedKey struct {
	Owner Name // [Authority] also for the keys that the authority signs with
	hash  [32]byte
}

func (e *SharedKey) Error() string { return ErrKeyShared.Error() }
func (e *SharedKey) Unwrap() error { return ErrKeyShared }

// Recorded is the text for the audit log.
func (e *SharedKey) Recorded() string { return e.Whole().Error() }

// Whole is the refusal as operators see it.
func (e *SharedKey) Whole() error {
	whose := "agent " + string(e.Owner)
	if person, ok := e.Owner.Person(); ok {
		whose = "operator " + person
	} else if e.Owner == Authority {
		whose = "the authority"
	}
	return fmt.Errorf("%w (the key %s is that of %s)", ErrKeyShared, hex.EncodeToString(e.hash[:8]), whose)
}

// keyOwners holds the owner of each certified key, by the first half of the SHA-256 of the
// key: two keys have the same one with a probability of 1 in 2^128. An entry ends with
// the slot of its certificate, not with the certificate: see keySlot.
const keyOwners = storage.Partitioned[keyOwner]("key_owners")

// A keyOwner is stored as its octets.
type keyOwner Name

// MarshalBinary returns the stored form.
func (o keyOwner) MarshalBinary() ([]byte, error) { return []byte(o), nil }

// UnmarshalBinary reads what MarshalBinary wrote.
func (o *keyOwner) UnmarshalBinary(b []byte) error {
	*o = keyOwner(b)
	return nil
}

func ownerKey(hash [32]byte) string { return string(hash[:16]) }

// keySlot returns the last second of the slot of a certificate that expires at an instant. The longer
// it lives, the longer the slots, so that a look-up reads few partitions: about 30 with
// lifetimes of up to a year. It also means that an agent that renews with the key that it
// has writes one entry in each slot.
func keySlot(expires, now time.Time) time.Time {
	width := time.Hour
	switch left := expires.Sub(now); {
	case left > 30*24*time.Hour:
		width = 30 * 24 * time.Hour
	case left > 48*time.Hour:
		width = 3 * 24 * time.Hour
	case left > 2*time.Hour:
		width = 6 * time.Hour
	}
	hours := (expires.Sub(epoch) + width - 1) / width * (width / time.Hour)
	return epoch.Add(hours*time.Hour - time.Second) // within the last hour of the slot
}

// CertifyKey makes n the owner of a key until a certificate expires, or fails with
// [ErrKeyShared]. Call it in the transaction that records the certificate.
func CertifyKey(tx storage.Tx, n Name, k components.Key, expires, now time.Time) error {
	slot := keySlot(expires, now)
	switch owner, err := keyOwners.Get(tx, slot, ownerKey(k.Whole)); {
	case err == nil && Name(owner) == n:
		return nil // nobody else has got it since the entry was made
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return err
	}
	if err := OwnKey(tx, n, k, now); err != nil {
		return err
	}
	return keyOwners.Put(tx, slot, ownerKey(k.Whole), keyOwner(n))
}

// OwnKey returns nil if n may have a key. It fails with [ErrKeyShared] if the
// key is one that the authority signs or signed with, if another agent has it registered or
// in an ACME account, or if another agent has a certificate for it that has not expired,
// dead or alive. Agents that had one key before there was this rule go on with it.
// now is the time that it is at the earliest.
func OwnKey(tx storage.Tx, n Name, k components.Key, now time.Time) error {
	hash := k.Whole
	if own, err := keys.Known(tx, hash); err != nil || own {
		return orShared(err, Authority, hash)
	}
	holders, err := k.Holders(tx)
	if err != nil {
		return err
	}
	owners := make([]Name, 0, len(holders))
	for _, h := range holders {
		owner, err := holderOf(tx, h)
		if err != nil {
			return err
		}
		owners = append(owners, owner)
	}
	for owner, err := range keyOwners.SincePrefix(tx, now.Add(-clock.Tolerance), ownerKey(hash)) {
		if err != nil {
			return err
		}
		owners = append(owners, Name(owner))
	}
	if slices.Contains(owners, n) { // it has the key, and so have others from before there was this rule
		return nil
	}
	for _, owner := range owners {
		if err := otherwise(tx, owner, hash, now); err != nil {
			return err
		}
	}
	return nil
}

// otherwise refuses the key of another agent. A decommissioned one has nothing alive, so its
// keys may be used by its successor, unless they may be compromised.
func otherwise(tx storage.Tx, owner Name, hash [32]byte, now time.Time) error {
	a, err := Get(tx, owner)
	if errors.Is(err, ErrUnknown) { // a restore has taken the agent away
		return nil
	}
	if err == nil && a.State == Decommissioned {
		compromised, err := NewStanding(tx, now).Compromised(owner, a.Created)
		if err != nil || !compromised {
			return err
		}
	}
	return orShared(err, owner, hash)
}

func orShared(err error, owner Name, hash [32]byte) error {
	if err == nil {
		err = &SharedKey{owner, hash}
	}
	return err
}

// accountAgents are the agents of ACME accounts. Package acme owns the table.
const accountAgents = storage.Table[struct {
	Agent Name `json:"agent"`
}]("acme_accounts")

// AccountHolder returns the name of an ACME account as a holder of keys in the index of
// components. No agent can have it, because it has a slash.
func AccountHolder(account string) string { return accountPrefix + account }

const accountPrefix = "acme/"

// holderOf returns the agent that a holder of registered keys belongs to.
func holderOf(tx storage.Tx, holder string) (Name, error) {
	account, ok := strings.CutPrefix(holder, accountPrefix)
	if !ok {
		return Name(holder), nil
	}
	a, err := accountAgents.Get(tx, account)
	return a.Agent, err
}
