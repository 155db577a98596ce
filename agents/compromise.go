package agents

import (
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

var (
	// ErrKeyCompromised says that a key was revoked because it may be compromised. No
	// certificate has it any more.
	ErrKeyCompromised = NewRefusal("key_compromised", "the key was revoked as compromised: make another", nil)
	// ErrManyCompromised says that too many keys of an agent were.
	ErrManyCompromised = NewRefusal("keys_compromised", "too many keys of the agent were revoked as compromised: an operator must run brevet agent reenroll", nil)
	// errCompromising says that the keys of a revocation are not all remembered yet.
	errCompromising = NewRefusalOf(NotNow, "keys_unsettled", "the keys of a revocation are being remembered; ask again", nil)
)

// A compromise is a key that was revoked because it may be compromised. It is stored as
// JSON: fields may be added, and none changes its meaning.
type compromise struct {
	Agent Name      `json:"agent"`
	At    time.Time `json:"at"`
}

// compromisedKeys holds them, for good, by the SHA-256 of their SubjectPublicKeyInfo.
const compromisedKeys = storage.Table[compromise]("compromised_keys")

// compromisedCounts says how many keys of each agent came there since an operator last
// enrolled it.
const compromisedCounts = storage.Table[compromiseCount]("compromised_counts")

// A compromiseCount is stored as JSON, too.
type compromiseCount struct {
	Agent Name `json:"agent"`
	Keys  int  `json:"keys"`
}

// unsettled has one record: the time of the latest group revocation for
// compromised keys, until the keys of all the certificates that it ended are in
// compromisedKeys. Until then only the records of the certificates say which keys they are.
const unsettled = storage.Table[time.Time]("compromised_unsettled")

const all = "all" // its key

// RememberKey remembers a compromised key of the agent n by its hash.
func RememberKey(tx storage.Tx, n Name, hash [32]byte, now time.Time) error {
	err := compromisedKeys.Create(tx, string(hash[:]), compromise{n, now})
	if errors.Is(err, storage.ErrExists) {
		return nil
	}
	if err != nil {
		return err
	}
	count, err := compromisedCounts.Get(tx, string(n))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return compromisedCounts.Put(tx, string(n), compromiseCount{n, count.Keys + 1})
}

// AdoptCompromised remembers the keys that a later state of the store remembers.
func AdoptCompromised(tx, later storage.Tx) error {
	for hash := range later.Scan(string(compromisedKeys), "") {
		c, err := compromisedKeys.Get(later, hash)
		if err == nil {
			err = AdoptCompromisedKey(tx, c.Agent, [32]byte([]byte(hash)), c.At)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// AdoptCompromisedKey is [RememberKey] for an agent that may be unknown here.
func AdoptCompromisedKey(tx storage.Tx, n Name, hash [32]byte, at time.Time) error {
	switch _, err := Get(tx, n); {
	case errors.Is(err, ErrUnknown):
		return compromisedKeys.Put(tx, string(hash[:]), compromise{n, at})
	case err != nil:
		return err
	}
	return RememberKey(tx, n, hash, at)
}

// compromised returns how many keys of an agent were revoked as compromised since an
// operator last enrolled it.
func compromised(tx storage.Tx, n Name) (int64, error) {
	counted, err := compromisedCounts.Has(tx, string(n)) // it rarely is, and Get makes an error of that
	if err != nil || !counted {
		return 0, err
	}
	count, err := compromisedCounts.Get(tx, string(n))
	return int64(count.Keys), err
}

// Certifiable returns nil if the agent n, which has these quotas, may have a certificate for
// a key. [QuotaCompromised] bounds what an agent can make the store keep. unsettledAt is what
// [Unsettled] returned when the caller compared the key with the certificates on record.
func Certifiable(tx storage.Tx, n Name, q Quotas, hash [32]byte, unsettledAt time.Time) error {
	known, err := compromisedKeys.Has(tx, string(hash[:]))
	if err != nil {
		return err
	}
	if known {
		return ErrKeyCompromised
	}
	count, err := compromised(tx, n)
	if err != nil {
		return err
	}
	if q.tooMany(count) {
		return fmt.Errorf("%w: %d", ErrManyCompromised, count)
	}
	at, err := Unsettled(tx)
	if err == nil && !at.IsZero() && !at.Equal(unsettledAt) {
		err = errCompromising
	}
	return err
}

// Unsettled returns the time of the latest revocation whose compromised keys are not all
// remembered yet, or the zero time.
func Unsettled(tx storage.Tx) (time.Time, error) {
	if some, err := unsettled.Has(tx, all); err != nil || !some {
		return time.Time{}, err
	}
	return unsettled.Get(tx, all)
}

// Settle says that the keys of all revocations up to at are remembered.
func Settle(tx storage.Tx, at time.Time) error {
	latest, err := Unsettled(tx)
	if err != nil || !latest.Equal(at) {
		return err // there is another
	}
	return unsettled.Delete(tx, all)
}

// unsettle says that there are compromised keys to remember.
func unsettle(tx storage.Tx, now time.Time) error {
	before, err := Unsettled(tx)
	if err != nil {
		return err
	}
	if !now.After(before) {
		now = before.Add(1)
	}
	return unsettled.Put(tx, all, now)
}

// KeyCompromised reports whether the key of a certificate was revoked as compromised,
// alone or with others.
func (s *Standing) KeyCompromised(c Credential) (bool, error) {
	own, err := revocations.Get(s.tx, c.ID.Expires(), c.ID.Key())
	if err == nil && own.Reason == KeyCompromise {
		return true, nil
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return false, err
	}
	return s.Compromised(c.Agent, c.IssuedAt)
}

// tooMany reports whether that many keys are too many to be revoked as compromised.
func (q Quotas) tooMany(keys int64) bool {
	return q != Quotas{} && keys > 0 && keys >= q[QuotaCompromised]
}

// ManyCompromised returns the agents that get no certificates because too many of their
// keys were revoked as compromised. Agents without quotas of their own have the usual ones.
func ManyCompromised(tx storage.Tx, usual Quotas) (names []Name, err error) {
	for c, err := range compromisedCounts.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		a, err := Get(tx, c.Agent)
		if err != nil {
			return nil, err
		}
		if a.QuotasOf(usual).tooMany(int64(c.Keys)) && a.State != Decommissioned { // it gets none anyway
			names = append(names, c.Agent)
		}
	}
	return names, nil
}
