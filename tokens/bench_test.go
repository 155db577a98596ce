package tokens_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// BenchmarkMint is a whole mint, with its commit and its fsync.
func BenchmarkMint(b *testing.B) {
	eachAlgorithm(b, func(b *testing.B, m *mint) {
		var size int
		for b.Loop() {
			minted, err := m.Mint(b.Context(), wanted)
			if err != nil {
				b.Fatal(err)
			}
			size = len(minted.Text.Reveal())
		}
		b.ReportMetric(float64(size), "B/token")
	})
}

// BenchmarkIntrospect is without HTTP. Nothing but the size of the token
// depends on the algorithm.
func BenchmarkIntrospect(b *testing.B) {
	eachAlgorithm(b, func(b *testing.B, m *mint) {
		minted, err := m.Mint(b.Context(), wanted)
		if err != nil {
			b.Fatal(err)
		}
		text := minted.Text.Reveal()
		for b.Loop() {
			if !m.active(text) {
				b.Fatal("it is not active")
			}
		}
	})
}

// eachAlgorithm runs a benchmark for the classical algorithms and for those
// that are not.
func eachAlgorithm(b *testing.B, run func(*testing.B, *mint)) {
	bot := agents.Change{Scopes: []string{"a"}, Audiences: []string{bankURL}, TTL: new(time.Hour)}
	for _, alg := range []keys.Algorithm{keys.ECDSAP256, keys.Ed25519} {
		b.Run(string(alg), func(b *testing.B) {
			m := newMint(b, alg)
			m.add(bot)
			run(b, m)
		})
	}
	for _, alg := range pqc.Algorithms() {
		if alg.JOSE() == "" {
			continue
		}
		b.Run(alg.Flag(), func(b *testing.B) {
			m := newHybridMint(b, keys.ECDSAP256, keys.Algorithm(alg.Flag()), bankURL)
			m.add(bot)
			run(b, m)
		})
	}
}

// BenchmarkMintByPolicies is BenchmarkMint with ten policies in force and without. The rate with
// them is to be nine tenths of the rate without, or more.
func BenchmarkMintByPolicies(b *testing.B) {
	for _, n := range []int{0, 10} {
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			m := newMint(b, keys.ECDSAP256)
			m.add(agents.Change{Scopes: []string{"a"}, Audiences: []string{bankURL}, TTL: new(time.Hour)})
			m.Policy.Applied = cedar.NewEngine(m, time.UTC)
			if n > 0 {
				text := "permit(principal, action, resource) when { context.scope == \"a\" };\n" +
					strings.Repeat("forbid(principal in Role::\"x\", action, resource) when { context.hour < 9 };\n", n-1)
				err := m.Update(b.Context(), func(tx storage.Tx) error {
					_, _, err := policies.Apply(tx, []policies.File{{Name: "p.cedar", Text: text}}, "me", time.Now())
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if _, err := m.Mint(b.Context(), wanted); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
