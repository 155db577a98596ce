package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

// TestAgentsLeaveHalfOfTheReserve: whatever agents and others wrote before, alone or many at
// once, in small and in large transactions, operators can revoke a thousand times.
func TestAgentsLeaveHalfOfTheReserve(t *testing.T) {
	ctx := context.Background()
	agent, operator := storage.UrgentOfAgent(ctx), storage.Urgent(ctx)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			dir := smallDisk(t, "24m")
			db := open(t, filepath.Join(dir, "brevet.db"))
			update(t, db, record("first"))
			fill(t, dir)
			n := 0
			// write writes until the store refuses, many at once, at keys that are scattered.
			write := func(ctx context.Context, together, size int) (done int) {
				for refused := false; !refused && done < 200_000; {
					var all sync.WaitGroup
					errs := make([]error, together)
					for i := range together {
						key, at := fmt.Sprintf("%016x", r.Uint64()), fmt.Sprintf("%09d", n)
						n++
						all.Go(func() {
							errs[i] = db.Update(ctx, func(tx storage.Tx) error {
								return errors.Join(tx.Put("state", key, make([]byte, size)), tx.Put("log", at, make([]byte, 400)))
							})
						})
					}
					all.Wait()
					for _, err := range errs {
						if refused = refused || err != nil; err == nil {
							done++
						} else if !errors.Is(err, storage.ErrFull) {
							t.Fatal(err)
						}
					}
				}
				return done
			}
			var others, agents int
			for range 4 {
				together := []int{1, 7, 64, 300}[r.IntN(4)]
				if r.IntN(2) == 0 {
					others += write(ctx, together, []int{300, 3000, 25_000}[r.IntN(3)])
				} else {
					agents += write(agent, together, 300)
				}
			}
			others += write(ctx, 1, 300)
			agents += write(agent, 8, 300)
			if agents < 200 {
				t.Errorf("agents could end %d things, want hundreds", agents)
			}
			for i := range 1000 {
				if err := db.Update(operator, record(fmt.Sprintf("z%06d", i))); err != nil {
					t.Fatalf("operator's revocation %d, after %d writes and %d by agents: %v", i, others, agents, err)
				}
			}
		})
	}
}
