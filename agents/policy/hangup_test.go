package policy_test

import (
	"context"
	"testing"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// An impatient store says that the context is done, whatever the closure returned.
type impatient struct{ storage.DB }

func (db impatient) View(ctx context.Context, fn func(storage.Tx) error) error {
	return firstOf(ctx, db.DB.View(ctx, fn))
}

func (db impatient) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return firstOf(ctx, db.DB.Update(ctx, fn))
}

func firstOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// TestHangingUpHidesNoDenial: whoever gives up while being refused is in the log, once.
func TestHangingUpHidesNoDenial(t *testing.T) {
	for _, hasty := range []bool{false, true} {
		for _, phase := range []string{"ask", "prepare", "change"} {
			db := openDB(t)
			p := policy.Point{DB: db}
			if hasty {
				p.DB = impatient{db}
			}
			ctx, cancel := context.WithCancel(t.Context())
			no := func(here string) error {
				if here != phase {
					return nil
				}
				cancel()
				return policy.ErrScope
			}
			err := p.Do(ctx, change("bot"), policy.Act{
				Ask:     func(storage.Tx, *policy.Query) error { return no("ask") },
				Prepare: func(context.Context, *policy.Decision) error { return no("prepare") },
				Change:  func(storage.Tx, *policy.Decision) (policy.Done, error) { return policy.Done{}, no("change") },
			})
			cancel()
			if _, events := left(t, db); err != policy.ErrScope || len(events) != 1 || events[0].Decision != audit.Deny {
				t.Errorf("%s, impatient store %t: got %v and %+v", phase, hasty, err, events)
			}
		}
	}
}
