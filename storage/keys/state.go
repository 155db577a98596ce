package keys

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

// table is keyed by purpose and identifier, so that a look-up of the active
// key reads only the keys of its purpose.
const table = storage.Table[Key]("keys")

func tableKey(p Purpose, id string) string { return string(p) + "/" + id }

func put(tx storage.Tx, k Key) error {
	if err := know(tx, k); err != nil {
		return err
	}
	return table.Put(tx, tableKey(k.Purpose, k.ID), k)
}

// known holds the identifiers of all keys that were ever on record, by the SHA-256 of their
// SubjectPublicKeyInfo. [Remove] leaves them.
const known = storage.Table[string]("keys.known")

func know(tx storage.Tx, k Key) error {
	hash := sha256.Sum256(k.Public)
	there, err := known.Has(tx, string(hash[:]))
	if err != nil || there {
		return err
	}
	return known.Put(tx, string(hash[:]), k.ID)
}

// Known reports whether the public key with this hash is or was one that the authority
// signs with.
func Known(tx storage.Tx, hash [sha256.Size]byte) (bool, error) {
	return known.Has(tx, string(hash[:]))
}

// FillKnown has [Known] know the keys that an older version recorded.
func FillKnown(tx storage.Tx) error {
	for k, err := range scan(tx, "") {
		if err == nil {
			err = know(tx, k)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scan yields the keys whose table key begins with prefix. It ends after the first
// error.
func scan(tx storage.Tx, prefix string) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		for key := range tx.Scan(string(table), prefix) {
			if key == format.Notice {
				continue
			}
			k, err := table.Get(tx, key)
			if !yield(k, err) || err != nil {
				return
			}
		}
	}
}

// Record adds a key that a [Source] made: as the next one of its purpose or,
// if the purpose has no active key yet, as the active one. It returns the record.
func (ps Purposes) Record(tx storage.Tx, k Key, s State, now time.Time) (Key, error) {
	if err := k.Check(); err != nil {
		return Key{}, err
	}
	spec, err := ps.Of(k.Purpose)
	if err != nil {
		return Key{}, err
	}
	if err := spec.Check(k.Algorithm); err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, err := Get(tx, k.ID); !errors.Is(err, storage.ErrNotFound) {
		if err == nil {
			err = fmt.Errorf("key %s: %w", k.ID, storage.ErrExists)
		}
		return Key{}, err
	}
	k.State, k.Activated, k.Retired = s, time.Time{}, time.Time{}
	switch s {
	case StateNext:
	case StateActive:
		k.Activated = now
		if err := spec.vacant(tx, k); err != nil {
			return Key{}, err
		}
	default:
		return Key{}, fmt.Errorf("%w: a new key is %s or %s, not %.40q", ErrTransition, StateNext, StateActive, s)
	}
	return k, put(tx, k)
}

// vacant fails if another key is active in the place of k.
func (s PurposeSpec) vacant(tx storage.Tx, k Key) error {
	active, err := s.rival(tx, k)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s is the active %s key; record the new one as %s and promote it", ErrTransition, active.ID, k.Purpose, StateNext)
}

// rival returns the active key whose place k would take, or [storage.ErrNotFound].
func (s PurposeSpec) rival(tx storage.Tx, k Key) (Key, error) {
	active, err := AllActive(tx, k.Purpose)
	for _, other := range active {
		if s.rivals(other, k) {
			return other, nil
		}
	}
	return Key{}, cmp.Or(err, storage.ErrNotFound)
}

// Promote makes a next key the active one of its purpose, or of its purpose and
// algorithm, and retires the one that was. It refuses a key that must be announced for
// longer. The caller has seen [Source.Signer] load it: a key whose private half is lost
// must not become the one that signs.
func (ps Purposes) Promote(tx storage.Tx, id string, now time.Time) (Key, error) {
	k, err := Get(tx, id)
	if err != nil {
		return Key{}, err
	}
	spec, err := ps.Of(k.Purpose)
	if err != nil {
		return Key{}, err
	}
	if from := spec.SignsFrom(k); (spec.Announced > 0 || !k.SignsFrom.IsZero()) && now.Before(from) {
		return Key{}, fmt.Errorf("%w: key %s is announced and may sign from %s on", ErrTransition, id, from.UTC().Format(time.RFC3339))
	}
	return ps.PromoteEarly(tx, id, now)
}

// PromoteEarly is Promote for a key that was not announced for long enough: those who
// have cached the public keys cannot verify what it signs.
func (ps Purposes) PromoteEarly(tx storage.Tx, id string, now time.Time) (Key, error) {
	k, err := Get(tx, id)
	if err != nil {
		return Key{}, err
	}
	if k.State != StateNext {
		return Key{}, fmt.Errorf("%w: key %s is %s; only a %s key can become %s", ErrTransition, id, k.State, StateNext, StateActive)
	}
	spec, err := ps.Of(k.Purpose)
	if err != nil {
		return Key{}, err
	}
	old, err := spec.rival(tx, k)
	switch {
	case err == nil:
		old.State, old.Retired = StateRetired, now
		if err := put(tx, old); err != nil {
			return Key{}, err
		}
	case !errors.Is(err, storage.ErrNotFound):
		return Key{}, err
	}
	k.State, k.Activated = StateActive, now
	return k, put(tx, k)
}

// Announce notes that a CA that is next is published with its certificate, and when it may
// sign.
func Announce(tx storage.Tx, id string, from time.Time) error {
	k, err := Get(tx, id)
	if err != nil {
		return err
	}
	if k.State != StateNext || !k.SignsFrom.IsZero() {
		return fmt.Errorf("%w: key %s is %s; only a %s key can be announced, and once", ErrTransition, id, k.State, StateNext)
	}
	k.SignsFrom = from
	return put(tx, k)
}

// Retire ends a next key that is not to become active.
func Retire(tx storage.Tx, id string, now time.Time) error {
	k, err := Get(tx, id)
	if err != nil {
		return err
	}
	if k.State != StateNext {
		return fmt.Errorf("%w: key %s is %s; only a %s key can be retired", ErrTransition, id, k.State, StateNext)
	}
	k.State, k.Retired = StateRetired, now
	return put(tx, k)
}

// Discard notes that the private half of a retired key is given up. [Source.Destroy]
// comes next.
func Discard(tx storage.Tx, id string, now time.Time) (Key, error) {
	k, err := Get(tx, id)
	if err != nil {
		return k, err
	}
	if err := k.Removable(); err != nil || !k.Destroyed.IsZero() {
		return k, err
	}
	k.Destroyed = now
	return k, put(tx, k)
}

// Remove forgets a retired key, after [Discard] and [Source.Destroy]: nothing
// that it signed can be verified by the store's own records any more.
func Remove(tx storage.Tx, id string) error {
	k, err := Get(tx, id)
	if err != nil {
		return err
	}
	if err := k.Removable(); err != nil {
		return err
	}
	return table.Delete(tx, tableKey(k.Purpose, k.ID))
}

// Removable tells whether k may be destroyed and removed: it is retired, or it never came
// on record.
func (k Key) Removable() error {
	if k.State != StateRetired && k.State != "" {
		return fmt.Errorf("%w: key %s is %s; only a %s key can be removed", ErrTransition, k.ID, k.State, StateRetired)
	}
	return nil
}

// Get returns the key with this identifier, or [storage.ErrNotFound].
func Get(tx storage.Tx, id string) (Key, error) {
	for k, err := range scan(tx, "") { // an authority has a few dozen
		if err != nil || k.ID == id {
			return k, err
		}
	}
	return Key{}, fmt.Errorf("key %.40q: %w", id, storage.ErrNotFound)
}

// Active returns the only active key of p, or [storage.ErrNotFound]. Several are an
// error here, even where each algorithm may have one: see [ActiveWith].
func Active(tx storage.Tx, p Purpose) (Key, error) {
	active, err := AllActive(tx, p)
	switch {
	case err != nil:
		return Key{}, err
	case len(active) == 0:
		return Key{}, fmt.Errorf("active %s key: %w", p, storage.ErrNotFound)
	case len(active) > 1:
		return Key{}, fmt.Errorf("%w: which of the %d active %s keys is meant, the algorithm must say", ErrInvalid, len(active), p)
	}
	return active[0], nil
}

// ActiveWith returns the active key of p that has algorithm a, or
// [storage.ErrNotFound].
func ActiveWith(tx storage.Tx, p Purpose, a Algorithm) (Key, error) {
	active, err := AllActive(tx, p)
	for _, k := range active {
		if k.Algorithm == a {
			return k, nil
		}
	}
	return Key{}, cmp.Or(err, fmt.Errorf("active %s key of algorithm %s: %w", p, a, storage.ErrNotFound))
}

// AllActive returns the active keys of p, one at most for each algorithm. More in the
// store is an error.
func AllActive(tx storage.Tx, p Purpose) ([]Key, error) {
	var active []Key
	for k, err := range scan(tx, tableKey(p, "")) {
		if err != nil {
			return nil, err
		}
		if k.State != StateActive {
			continue
		}
		if i := slices.IndexFunc(active, func(other Key) bool { return other.Algorithm == k.Algorithm }); i >= 0 {
			return nil, fmt.Errorf("%w: the store has several active %s keys, %s and %s among them", ErrInvalid, p, active[i].ID, k.ID)
		}
		active = append(active, k)
	}
	return active, nil
}

// List returns the keys of the purposes, purpose by purpose and within one from the
// oldest to the youngest.
func (ps Purposes) List(tx storage.Tx) ([]Key, error) {
	var keys []Key
	for _, s := range ps {
		ofOne, err := List(tx, s.Purpose)
		if err != nil {
			return nil, err
		}
		keys = append(keys, ofOne...)
	}
	return keys, nil
}

// List returns the keys of one purpose, from the oldest to the youngest.
func List(tx storage.Tx, p Purpose) ([]Key, error) {
	var keys []Key
	for k, err := range scan(tx, tableKey(p, "")) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	slices.SortStableFunc(keys, func(a, b Key) int { return a.Created.Compare(b.Created) })
	return keys, nil
}
