package authority

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/format"
)

// levels holds the recorded level of each reason that is not ok, by its identifier.
const levels = storage.Table[api.Level]("health")

// A healthWatch remembers the levels of the last look. Those on record say which changes the
// audit log has, so that a restart repeats none.
type healthWatch struct {
	mu     sync.Mutex
	logged map[string]api.Level // nil before the first look
	due    map[string]bool      // changes that are not on record yet
}

// WatchHealth looks at the authority's health, and logs and records each reason whose level
// has changed since the last look. A change that cannot be recorded, as on a full disk, is
// recorded later, unless it is undone by then.
func (a *Authority) WatchHealth(ctx context.Context) error {
	w := &a.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.logged == nil {
		on, err := a.recordedLevels(ctx)
		if err != nil {
			return err
		}
		w.logged, w.due = on, map[string]bool{}
	}
	reasons := a.Health(ctx)
	now := map[string]api.Level{}
	for _, r := range slices.Backward(reasons) { // the worst comes last
		now[r.ID] = r.Level
	}
	for _, id := range ReasonIDs() {
		if level, was := cmp.Or(now[id], api.OK), cmp.Or(w.logged[id], api.OK); level != was {
			a.logHealth(id, was, level, reasons)
			w.logged[id], w.due[id] = level, true
		}
	}
	return a.recordHealth(ctx, reasons)
}

func (a *Authority) logHealth(id string, was, level api.Level, reasons []api.Reason) {
	severity := map[api.Level]slog.Level{api.OK: slog.LevelInfo, api.Warning: slog.LevelWarn, api.Critical: slog.LevelError}[level]
	a.Log.Log(context.Background(), severity, "health", "reason", id, "level", level, "was", was, "text", first(id, reasons))
}

// first returns the text of the worst reason of a kind.
func first(id string, reasons []api.Reason) string {
	if i := slices.IndexFunc(reasons, func(r api.Reason) bool { return r.ID == id }); i >= 0 {
		return reasons[i].String()
	}
	return ""
}

func (a *Authority) recordedLevels(ctx context.Context) (on map[string]api.Level, err error) {
	on = map[string]api.Level{}
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		for _, id := range ReasonIDs() {
			level, err := levels.Get(tx, id)
			if err == nil {
				on[id] = level
			} else if !errors.Is(err, storage.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	return on, err
}

// recordHealth records the changes that are due. Another node over the same store may have
// recorded the same.
func (a *Authority) recordHealth(ctx context.Context, reasons []api.Reason) error {
	on, err := a.recordedLevels(ctx)
	if err != nil || len(a.watch.due) == 0 {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(a.watch.due)) {
		level, was := a.watch.logged[id], cmp.Or(on[id], api.OK)
		if level != was {
			err = a.recordLevel(ctx, id, was, level, first(id, reasons))
		}
		switch {
		case errors.Is(err, storage.ErrFull):
			return nil // which is logged as a reason
		case errors.Is(err, errLevelMoved):
			err = nil
			continue // and looks again the next time
		case err != nil:
			return err
		}
		delete(a.watch.due, id)
	}
	return nil
}

// errLevelMoved says that another node has recorded the level of a reason meanwhile.
var errLevelMoved = errors.New("the level on record is another one")

// recordLevel records that the level of a reason has changed. The event has details only if
// the store needs a version that reads them anyway, see ServerStart.
func (a *Authority) recordLevel(ctx context.Context, id string, was, level api.Level, text string) error {
	q := policy.Query{Principal: policy.System, Action: audit.HealthChange, Subject: string(agents.Authority), Time: a.Clock.Now()}
	return a.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		done := policy.Done{Reasons: []string{fmt.Sprintf("%s is %s, was %s", id, level, was)}}
		if on, err := levels.Get(tx, id); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return done, err
		} else if cmp.Or(on, api.OK) != was {
			return done, errLevelMoved
		}
		if text != "" {
			done.Reasons = append(done.Reasons, text)
		}
		if reads, err := format.Reached(tx, format.Details); err != nil {
			return done, err
		} else if reads {
			done.Details = &audit.Details{From: string(was), To: string(level), Codes: []string{id}}
		}
		if level == api.OK {
			return done, levels.Delete(tx, id)
		}
		return done, levels.Put(tx, id, level)
	}})
}
