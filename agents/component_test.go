package agents_test

import (
	"context"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
)

// composites returns the public keys of two composites that share their Ed25519
// half, and that half, all as an operator registers them.
func composites(t testing.TB) (one, two, half string) {
	t.Helper()
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	composite := func(seed byte) string {
		k, err := pqc.NewPrivateKey(pqc.MLDSA44Ed25519SHA512, slices.Concat(slices.Repeat([]byte{seed}, 32), edwards.Seed()))
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pqc.MarshalPKIXPublicKey(k.PublicKey())}))
	}
	return composite(1), composite(2), publicPEM(t, edwards.Public())
}

func componentsOf(t testing.TB, text string) components.Key {
	t.Helper()
	k, err := agents.Change{Keys: []string{text}}.KeyComponents()
	if err != nil || len(k) != 1 {
		t.Fatalf("%d keys, %v", len(k), err)
	}
	return k[0]
}

// unlisted is the check of keys that no certificate has.
func unlisted(storage.Tx) error { return nil }

// cleared is for keys of which no half is certified.
func cleared(t testing.TB, keys ...string) components.Clearance {
	t.Helper()
	c, err := agents.Change{Keys: keys}.KeyComponents()
	if err != nil {
		t.Fatal(err)
	}
	return components.NewClearance(unlisted, c...)
}

// TestCompositesNeedAClearance: a caller who forgets to compare a composite key with
// the certificates on record registers nothing.
func TestCompositesNeedAClearance(t *testing.T) {
	one, two, half := composites(t)
	db := openDB(t)
	used := errors.New("certified meanwhile")
	try := func(name agents.Name, keys []string, cleared ...components.Clearance) error {
		return db.Update(context.Background(), func(tx storage.Tx) error {
			_, err := agents.Add(tx, td, name, agents.Change{Owner: new("team"), Keys: keys}, invitation(t, now), now, cleared...)
			return err
		})
	}
	for what, err := range map[string]error{
		"none":           try("a", []string{one}),
		"of another key": try("b", []string{one}, cleared(t, two)),
		"outdated":       try("c", []string{one}, components.NewClearance(func(storage.Tx) error { return used }, componentsOf(t, one))),
	} {
		if err == nil {
			t.Errorf("a composite was registered by a clearance: %s", what)
		}
	}
	if err := try("d", []string{one}, cleared(t, one)); err != nil {
		t.Error(err)
	}
	if err := try("e", []string{half}); !errors.Is(err, components.ErrShared) {
		t.Errorf("its half alone: %v", err)
	}
}

// apart fails if the index has k, which is no composite, in a composite.
func apart(tx storage.Tx, k components.Key, at time.Time) error { return k.Certify(tx, at, at) }

// entries counts those of a table.
func entries(tx storage.Tx, table string) (n int) {
	for range tx.Scan(table, "") {
		n++
	}
	return n
}

// TestRegisteredComponents: what one agent has registered, no agent registers in
// another key, until it is registered no more.
func TestRegisteredComponents(t *testing.T) {
	one, two, half := composites(t)
	for what, c := range map[string]struct{ first, then string }{
		"a half of a composite":    {one, half},
		"a composite with a half":  {half, one},
		"a composite with another": {one, two},
	} {
		within(t, func(tx storage.Tx) {
			set := func(n agents.Name, keys ...string) error {
				_, err := agents.Set(tx, td, n, agents.Change{Keys: append([]string{}, keys...)}, now, cleared(t, keys...))
				return err
			}
			add(t, tx, "one", agents.Change{Keys: []string{c.first}})
			add(t, tx, "two", agents.Change{})
			refused(t, what+", the very same", set("two", c.first), agents.ErrKeyShared)
			_, err := agents.Add(tx, td, "three", agents.Change{Owner: new("team"), Keys: []string{c.then}}, invitation(t, now), now, cleared(t, c.then))
			refused(t, what, err, components.ErrShared)
			add(t, tx, "four", agents.Change{})
			refused(t, what, set("four", c.then), components.ErrShared)
			refused(t, what+", both", set("four", c.then, c.first), agents.ErrInvalid)
			if err := set("one", c.first); err != nil {
				t.Errorf("%s: once more: %v", what, err)
			}
			if _, err := agents.Decommission(tx, td, "one", agents.KeyCompromise, now); err != nil {
				t.Error(err)
			}
			refused(t, what+" of who is gone for ever", set("four", c.then), components.ErrShared)
		})
		within(t, func(tx storage.Tx) {
			add(t, tx, "one", agents.Change{Keys: []string{c.first}})
			for _, keys := range [][]string{{c.then}, {c.first}, {}} { // in place of each other
				if _, err := agents.Set(tx, td, "one", agents.Change{Keys: keys}, now, cleared(t, keys...)); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if n := entries(tx, "components"); n != 0 {
				t.Errorf("%s: %d entries are left of nothing", what, n)
			}
		})
	}
}

// TestRegisteredAndCertified: a component is known for as long as either lasts.
func TestRegisteredAndCertified(t *testing.T) {
	one, _, half := composites(t)
	within(t, func(tx storage.Tx) {
		whole, alone := componentsOf(t, one), componentsOf(t, half)
		ends := now.Add(time.Hour)
		if err := errors.Join(whole.Certify(tx, ends, now, cleared(t, one)), whole.Certify(tx, ends.Add(-time.Minute), now, cleared(t, one))); err != nil {
			t.Fatal(err)
		}
		add(t, tx, "one", agents.Change{Keys: []string{one}})
		set := func(at time.Time, keys ...string) {
			if _, err := agents.Set(tx, td, "one", agents.Change{Keys: append([]string{}, keys...)}, at, cleared(t, keys...)); err != nil {
				t.Error(err)
			}
		}
		set(now)
		refused(t, "still certified", apart(tx, alone, ends.Add(-time.Nanosecond)), components.ErrShared)
		if err := apart(tx, alone, ends); err != nil {
			t.Errorf("when the certificate is over: %v", err)
		}
		set(now, one)
		refused(t, "still registered", apart(tx, alone, ends.Add(time.Hour)), components.ErrShared)
		set(ends.Add(time.Hour))
		if err := apart(tx, alone, ends.Add(time.Hour)); err != nil || entries(tx, "components") != 0 {
			t.Errorf("when both are over: %v, %d entries", err, entries(tx, "components"))
		}
	})
}

// TestIndexOfAnOlderStore: the keys that were there before the index are in it, and
// it is filled once.
func TestIndexOfAnOlderStore(t *testing.T) {
	registered, _, half := composites(t)
	plain := publicPEM(t, &newECDSA(t, elliptic.P256()).PublicKey)
	key, err := pqc.GenerateKey(pqc.MLDSA65ECDSAP256SHA512)
	if err != nil {
		t.Fatal(err)
	}
	certified := agents.PublicKey(pqc.MarshalPKIXPublicKey(key.PublicKey()))
	db := openDB(t)
	update := func(fn func(storage.Tx) error) {
		t.Helper()
		if err := db.Update(context.Background(), fn); err != nil {
			t.Fatal(err)
		}
	}
	spki, err := agents.ParsePublicKey([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	current := func(k agents.PublicKey, ends time.Time) agents.Current {
		return agents.Current{Credential: credential(t, "one", "00ff", now, ends), Key: k}
	}
	update(func(tx storage.Tx) error {
		add(t, tx, "one", agents.Change{Keys: []string{registered}})
		add(t, tx, "two", agents.Change{Keys: []string{plain}})
		return errors.Join(
			agents.SetCurrent(tx, current(certified, now.Add(time.Hour)), agents.CredentialID{}, 0),
			agents.SetCurrent(tx, current(spki, now.Add(time.Hour)), agents.CredentialID{}, 0))
	})
	update(func(tx storage.Tx) error {
		return errors.Join(tx.Drop("components"), tx.Drop("components.ends"), tx.Drop("components.complete"))
	})
	update(func(tx storage.Tx) error {
		if err := apart(tx, componentsOf(t, half), now); err != nil {
			t.Errorf("before: %v: this test would prove nothing", err)
		}
		if err := components.Fill(tx, now, agents.KeyUses(tx)); err != nil {
			t.Errorf("the first time: %v", err)
		}
		refused(t, "a half of a registered key", apart(tx, componentsOf(t, half), now), components.ErrShared)
		c, err := components.Of(certified)
		if err != nil {
			return err
		}
		for _, id := range c.Halves {
			refused(t, "a half of a certified key", apart(tx, components.Key{Whole: id}, now), components.ErrShared)
			if err := apart(tx, components.Key{Whole: id}, now.Add(time.Hour)); err != nil {
				t.Errorf("when it is over: %v", err)
			}
		}
		alone := componentsOf(t, plain).Whole
		refused(t, "a registered key", (components.Key{Halves: [][32]byte{alone}}).Certify(tx, now, now, components.NewClearance(unlisted, components.Key{Halves: [][32]byte{alone}})), components.ErrShared)
		unread := func(func(components.Use, error) bool) { t.Error("the second time reads the keys again") }
		if err := components.Fill(tx, now, unread); err != nil {
			t.Errorf("the second time: %v", err)
		}
		return nil
	})
}

// TestComponentsWhileTheClockIsInDoubt: a key whose certificate has expired by a clock that
// may be ahead is known for as long as the certificate may live.
func TestComponentsWhileTheClockIsInDoubt(t *testing.T) {
	one, two, half := composites(t)
	within(t, func(tx storage.Tx) {
		alone, ends := componentsOf(t, half), now.Add(time.Hour)
		if err := componentsOf(t, one).Certify(tx, ends, now, cleared(t, one)); err != nil {
			t.Fatal(err)
		}
		at := func(earliest time.Time) components.Clearance {
			c, err := components.NewCensus(nil, nil).Clear(t.Context(), earliest) // of no composite
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		ahead := ends.Add(3 * time.Hour)
		last := ends.Add(-time.Nanosecond)
		refused(t, "certified", alone.Certify(tx, ahead.Add(time.Hour), ahead, at(last)), components.ErrShared)
		refused(t, "registered", components.Replace(tx, "other", nil, []components.Key{alone}, ahead, at(last)), components.ErrShared)
		if err := componentsOf(t, two).Certify(tx, ahead.Add(time.Hour), ahead, cleared(t, two), at(last)); err != nil && !errors.Is(err, components.ErrShared) {
			t.Error(err)
		}
		refused(t, "after another was certified", components.Replace(tx, "other", nil, []components.Key{alone}, ahead, at(last)), components.ErrShared)
		if err := components.Replace(tx, "other", nil, []components.Key{alone}, ahead, at(ends)); err != nil {
			t.Errorf("when it has surely expired: %v", err)
		}
	})
}
