package agents_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
)

// TestKeySharedFromBefore: agents that have one key on record both go on with it, and a third one
// does not get it. Neither is locked out by the other.
func TestKeySharedFromBefore(t *testing.T) {
	within(t, func(tx storage.Tx) {
		k := components.Key{Whole: sha256.Sum256([]byte("key"))}
		owners := storage.Partitioned[raw]("key_owners")
		for n, expires := range map[agents.Name]time.Time{"one": now.Add(time.Hour), "two": now.Add(3 * time.Hour)} {
			add(t, tx, n, agents.Change{})
			if err := owners.Put(tx, expires, string(k.Whole[:16]), raw(n)); err != nil {
				t.Fatal(err)
			}
		}
		add(t, tx, "three", agents.Change{})
		for _, n := range []agents.Name{"one", "two"} {
			if err := agents.CertifyKey(tx, n, k, now.Add(20*time.Hour), now); err != nil {
				t.Errorf("%s: %v", n, err)
			}
		}
		if err := agents.CertifyKey(tx, "three", k, now.Add(time.Hour), now); !errors.Is(err, agents.ErrKeyShared) {
			t.Errorf("three: %v", err)
		}
	})
}

// raw is stored as its octets.
type raw string

func (r raw) MarshalBinary() ([]byte, error) { return []byte(r), nil }

func (r *raw) UnmarshalBinary(b []byte) error {
	*r = raw(b)
	return nil
}
