package relying

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

const (
	// maxBatch is how many parties one transaction stores. It keeps the transaction short,
	// and no larger than the groups of other transactions, by whose size the store
	// reserves room.
	maxBatch = 256
	// grain is how old the stored time of a party may be while it is seen again and
	// again. So it does not cost a commit each minute.
	grain = time.Hour
)

// Changes are the changes of a register that the store does not have yet.
type Changes struct {
	put  []Party
	gone []id
}

// Changes returns what the store does not have yet: all of it, or only new facts and
// times that are too old there. It forgets parties that were not seen for too long.
func (r *Register) Changes(now time.Time, all bool) Changes {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range r.parties {
		if now.Sub(e.seen) > Memory {
			r.forget(i)
		}
	}
	c := Changes{gone: r.gone}
	r.gone = nil
	for _, e := range r.parties {
		if e.fresh || e.seen.Sub(e.saved) >= grain || all && e.seen.After(e.saved) {
			c.put = append(c.put, e.copy())
			e.fresh, e.saved = false, e.seen
		}
	}
	return c
}

// Batches yields the changes in parts, each for a transaction of its own. Removals
// come first: a party that was forgotten may have come back.
func (c Changes) Batches() iter.Seq[Changes] {
	return func(yield func(Changes) bool) {
		for gone := range slices.Chunk(c.gone, maxBatch) {
			if !yield(Changes{gone: gone}) {
				return
			}
		}
		for put := range slices.Chunk(c.put, maxBatch) {
			if !yield(Changes{put: put}) {
				return
			}
		}
	}
}

// Failed says that changes could not be stored. Parties to put are among the next
// changes. Parties to remove are found to be too old after the next start.
func (r *Register) Failed(c Changes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range c.put {
		if e, ok := r.parties[p.id()]; ok {
			e.fresh = true
		}
	}
}

// Save stores changes. If the transaction fails, call [Register.Failed].
func (c Changes) Save(tx storage.Tx) error {
	for _, i := range c.gone {
		if err := stored.Delete(tx, i.key()); err != nil {
			return err
		}
	}
	for _, p := range c.put {
		if err := stored.Put(tx, p.id().key(), p); err != nil {
			return err
		}
	}
	return nil
}

// Store stores all observations, or only those worth a commit. A crash may lose later
// ones. If storing fails, the next call tries again.
func (r *Register) Store(ctx context.Context, db storage.DB, now time.Time, all bool) error {
	var failed error
	for changes := range r.Changes(now, all).Batches() {
		if err := db.Update(ctx, changes.Save); err != nil {
			r.Failed(changes)
			failed = err
		}
	}
	return failed
}
