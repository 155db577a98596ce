package agents_test

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
)

// BenchmarkCertifyKey is what the owner of a key costs an issuance: of the key that the agent
// has, and of a fresh one.
func BenchmarkCertifyKey(b *testing.B) {
	for what, fresh := range map[string]uint64{"same": 0, "fresh": 1} {
		b.Run(what, func(b *testing.B) {
			try(b, openDB(b), func(tx storage.Tx) {
				var n uint64
				for b.Loop() {
					n += fresh
					k := components.Key{Whole: sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))}
					if err := agents.CertifyKey(tx, "bot", k, now.Add(time.Hour), now); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// TestKeyOwnersAreBounded: a look-up reads few partitions, whatever the lifetimes are, and each
// is dropped.
func TestKeyOwnersAreBounded(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		var n uint64
		for at := now; at.Before(now.Add(400 * 24 * time.Hour)); at = at.Add(7 * time.Hour) {
			for _, life := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour, 20 * 24 * time.Hour, 365 * 24 * time.Hour} {
				n++
				k := components.Key{Whole: sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))}
				if err := agents.CertifyKey(tx, "bot", k, at.Add(life), at); err != nil {
					t.Fatal(err)
				}
				until := at.Add(life - time.Second)
				if err := agents.OwnKey(tx, "other", k, until); err == nil {
					t.Fatalf("a key is free %s before its certificate of %s ends", time.Second, life)
				}
			}
			ended, err := storage.Ended(tx, at)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range ended {
				if err := storage.DropPartition(tx, name); err != nil {
					t.Fatal(err)
				}
			}
			live := 0
			for range tx.Scan("partitions", "key_owners/") {
				live++
			}
			if live > 40 {
				t.Fatalf("%d partitions", live)
			}
		}
	})
}
