package agents

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/keycheck"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
)

// A PublicKey is a DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
type PublicKey []byte

// ParsePublicKey reads one PEM block of type PUBLIC KEY (RFC 7468, section 13).
func ParsePublicKey(text []byte) (PublicKey, error) {
	der, err := pkix.ReadPEM(text, "PUBLIC KEY")
	if err != nil {
		return nil, fmt.Errorf("%w public key: %w; openssl pkey -pubout writes what is wanted", ErrInvalid, err)
	}
	if err := checkPublicKey(der); err != nil {
		return nil, err
	}
	return der, nil
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

// CheckKey refuses public keys that no agent should use: see [keycheck.Agents].
func CheckKey(key any) error {
	if err := keycheck.Agents.Check(key); err != nil {
		return fmt.Errorf("%w key: %v", ErrInvalid, err)
	}
	return nil
}

// CheckKeySize refuses keys of a size that no agent should use. It costs nothing: see
// [keycheck.Rules.Size].
func CheckKeySize(key any) error {
	if err := keycheck.Agents.Size(key); err != nil {
		return fmt.Errorf("%w key: %v", ErrInvalid, err)
	}
	return nil
}

// CheckEncoding refuses a SubjectPublicKeyInfo that is not the one DER encoding
// of key: see [keycheck.Encoding].
func CheckEncoding(spki []byte, key any) error {
	if err := keycheck.Encoding(spki, key); err != nil {
		return fmt.Errorf("%w key: %v", ErrInvalid, err)
	}
	return nil
}

// uncompromised refuses keys that were revoked as compromised.
func uncompromised(tx storage.Tx, keys []PublicKey) error {
	for _, k := range keys {
		hash := sha256.Sum256(k)
		known, err := compromisedKeys.Has(tx, string(hash[:]))
		if err != nil {
			return err
		}
		if known {
			return fmt.Errorf("%w public key: %w", ErrInvalid, ErrKeyCompromised)
		}
	}
	return nil
}

// setKeys makes keys the registered ones of the agent n in the index of components, in
// place of those before. A key that is another agent's is refused.
func setKeys(tx storage.Tx, n Name, before, keys []PublicKey, now time.Time, cleared ...components.Clearance) error {
	old, err := keyComponents(n, before)
	if err != nil {
		return err
	}
	all, err := keyComponents(n, keys)
	if err != nil {
		return err
	}
	if err := uncompromised(tx, keys); err != nil {
		return err
	}
	for _, k := range all {
		if slices.ContainsFunc(old, func(had components.Key) bool { return had.Whole == k.Whole }) {
			continue
		}
		if err := OwnKey(tx, n, k, now); err != nil {
			return err
		}
	}
	return components.Replace(tx, string(n), old, all, now, cleared...)
}

// A NextKey is one that an agent wants in the place of a registered one.
type NextKey struct {
	Agent  Name
	Old    PublicKey
	SHA256 [32]byte // of the next one
}

// ReplaceKey registers a key for an agent in the place of another one, and returns the agent
// as it was and as it is. A former key of the agent is refused: a replacement is for a young one.
// A composite key needs a [components.Clearance].
func ReplaceKey(tx storage.Tx, n Name, old, next PublicKey, now time.Time, cleared ...components.Clearance) (before, after Agent, err error) {
	if before, err = Get(tx, n); err != nil {
		return before, after, err
	}
	is := func(k PublicKey) func(PublicKey) bool { return func(has PublicKey) bool { return bytes.Equal(has, k) } }
	i := slices.IndexFunc(before.Keys, is(old))
	switch {
	case i < 0:
		return before, after, fmt.Errorf("%w: %s", errKeyRemoved, n)
	case slices.ContainsFunc(before.Keys, is(next)):
		return before, after, fmt.Errorf("%w public key: it is registered for %s already", ErrInvalid, n)
	}
	if _, had := before.formerKey(thumbprint(next)); had {
		return before, after, fmt.Errorf("%w public key: it was registered for %s before: make another", ErrInvalid, n)
	}
	if err := checkPublicKey(next); err != nil {
		return before, after, err
	}
	after = before
	after.Keys = slices.Clone(before.Keys)
	after.Keys[i], after.Changed = next, now
	if err := after.dateKeys(tx, before.Keys, now); err != nil {
		return before, after, err
	}
	return before, after, errors.Join(setKeys(tx, n, before.Keys, after.Keys, now, cleared...), after.put(tx))
}

// KeyComponents returns what the keys that c registers are made of, so that the
// caller can ask for a [components.Clearance]. It ignores text that is not a key:
// [Add] and [Set] refuse it.
func (c Change) KeyComponents() ([]components.Key, error) {
	var all []components.Key
	for _, text := range c.Keys {
		spki, err := ParsePublicKey([]byte(text))
		if err != nil {
			continue
		}
		k, err := components.Of(spki)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// A Key is a public key that proves the identity of an agent.
type Key struct {
	Public      PublicKey
	Agent       Name
	Certificate Credential // that has the key; zero if the key is registered
}

// Keys returns the keys that can prove the agent's identity at now: the registered ones
// and those in its latest certificates that are not expired. The certificate may have been
// revoked: ask [Standing.CheckKey] about the key that the client proves to have. So a name
// costs the same number of look-ups whether an agent has it or not.
func Keys(tx storage.Tx, a Agent, now time.Time) ([]Key, error) {
	recent, err := certified.Get(tx, string(a.Name))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	var keys []Key
	for _, k := range a.Keys {
		keys = append(keys, Key{Public: k, Agent: a.Name})
	}
	for entry, err := range recent.entries() {
		if err != nil {
			return nil, err
		}
		if c, _ := entry.read(); c.Key != nil && now.Before(c.Credential.ID.Expires()) {
			keys = append(keys, Key{c.Key, a.Name, c.Credential})
		}
	}
	return keys, nil
}

// errKeyRemoved says that the key that a client proved to have is no longer the agent's.
var errKeyRemoved = NewRefusalOf(Proof, "key_removed", "the key is not registered any more", nil)

// CheckKey returns nil if the key still proves its agent's identity. A registered key must
// not be too old: maxAge is the limit if its agent has none of its own, and 0 means none.
func (s *Standing) CheckKey(k Key, maxAge time.Duration) error {
	if k.Certificate != (Credential{}) {
		_, err := s.Check(k.Certificate)
		return err
	}
	a, err := s.agent(k.Agent)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(a.Keys, func(has PublicKey) bool { return bytes.Equal(has, k.Public) }) {
		return fmt.Errorf("%w: %s", errKeyRemoved, a.Name)
	}
	if err := a.Usable(s.now); err != nil || a.KeyMaxAgeOf(maxAge) == 0 {
		return err
	}
	since, err := KeySince(s.tx, a, k.Public)
	if err != nil {
		return err
	}
	return a.CheckKeyAge(since, maxAge, s.now)
}
