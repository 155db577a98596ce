package components_test

import (
	"crypto/sha256"
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func openDB(t testing.TB) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// composite returns a Key whose two component keys are named by one and two.
func composite(one, two string) components.Key {
	return components.Key{Whole: sha256.Sum256([]byte(one + two)), Halves: [][32]byte{sha256.Sum256([]byte(one)), sha256.Sum256([]byte(two))}}
}

// TestOf: a component key alone is found under the name that it has in a composite.
func TestOf(t *testing.T) {
	whole, err := pqc.GenerateKey(pqc.MLDSA44Ed25519SHA512)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := whole.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	alone, err := pqc.NewPrivateKey(pqc.MLDSA44, raw[:32])
	if err != nil {
		t.Fatal(err)
	}
	of := func(k *pqc.PrivateKey) components.Key {
		c, err := components.Of(pqc.MarshalPKIXPublicKey(k.PublicKey()))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if w, a := of(whole), of(alone); len(w.Halves) != 2 || len(a.Halves) != 0 || !slices.Contains(w.Halves, a.Whole) {
		t.Errorf("the composite is made of %x and its ML-DSA key is %x", w.Halves, a)
	}
	if _, err := components.Of([]byte("no key")); err == nil {
		t.Error("text is a key")
	}
}

// TestSharedIsARefusal: programs read its code, and other errors are not it.
func TestSharedIsARefusal(t *testing.T) {
	var refusal interface{ RefusalCode() string }
	if !errors.As(components.ErrShared, &refusal) || refusal.RefusalCode() != "invalid" {
		t.Errorf("the code of %v: %v", components.ErrShared, refusal)
	}
	if errors.Is(components.ErrShared, storage.ErrNotFound) {
		t.Error("it is any error")
	}
}

// TestComponentsAreForgotten: expired entries go away without anybody asking for them.
func TestComponentsAreForgotten(t *testing.T) {
	entries := func(tx storage.Tx, table string) (n int) {
		for range tx.Scan(table, "") {
			n++
		}
		return n
	}
	err := openDB(t).Update(t.Context(), func(tx storage.Tx) error {
		at := now
		most := 0
		for i := range 2000 { // one every second, each for a minute
			c := composite("one"+at.String(), "two"+at.String())
			if err := c.Certify(tx, at.Add(time.Minute), at, components.NewClearance(func(storage.Tx) error { return nil }, c)); err != nil {
				t.Fatal(i, err)
			}
			at = at.Add(time.Second)
			most = max(most, entries(tx, "components"), entries(tx, "components.ends"))
		}
		if want := 2 * int((time.Minute+clock.Tolerance)/time.Second+10); most > want {
			t.Errorf("the index had %d entries, want at most %d", most, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A record is the certificates that a test has issued. Each has one event.
type record []components.Certified

func (r *record) Alive(storage.Tx, time.Time) iter.Seq2[components.Certified, error] {
	return r.from(0)
}

func (r *record) Since(_ storage.Tx, position int64, _ time.Time) iter.Seq2[components.Certified, error] {
	return r.from(position)
}

func (r *record) from(position int64) iter.Seq2[components.Certified, error] {
	return func(yield func(components.Certified, error) bool) {
		for _, c := range (*r)[position:] {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// TestClear: a component key that is certified alone is refused in a composite, also
// when it is certified after the Clearance was given. An expired one is not.
func TestClear(t *testing.T) {
	const before, after = "before", "after"
	for _, when := range []string{before, after} {
		for _, lifetime := range []time.Duration{time.Hour, 0} {
			db, r := openDB(t), record{}
			issue := func(key string) {
				r = append(r, components.Certified{Key: sha256.Sum256([]byte(key)), Expires: now.Add(lifetime)})
				err := db.Update(t.Context(), func(tx storage.Tx) error {
					_, err := audit.Append(tx, audit.Event{Time: now, Actor: "a", Action: audit.CertificateIssue, Decision: audit.Allow})
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			issue("another")
			if when == before {
				issue("one")
			}
			k := composite("one", "two")
			cleared, err := components.NewCensus(db, &r).Clear(t.Context(), now, k)
			if when == after {
				if err != nil {
					t.Fatal(err)
				}
				issue("one")
			}
			if err == nil {
				err = db.Update(t.Context(), func(tx storage.Tx) error { return k.Certify(tx, now.Add(time.Hour), now, cleared) })
			}
			if live := lifetime > 0; errors.Is(err, components.ErrShared) != live || !live && err != nil {
				t.Errorf("certified %s, for %s: %v", when, lifetime, err)
			}
		}
	}
}
