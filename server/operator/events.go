package operator

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// followEvery is how often a follower of the log looks for new entries.
const followEvery = 200 * time.Millisecond

// eventsAtOnce bounds how many entries one read transaction takes: a long one
// would keep the store from using its pages again.
const eventsAtOnce = 1000

// Events yields the entries of the audit log that f chooses, some at a time. A
// follower gets none, too, when it has seen all there are. It ends with the
// context, or when the server is about to stop.
func (s *Service) Events(ctx context.Context, p Principal, f api.EventFilter) iter.Seq2[[]audit.Event, error] {
	return func(yield func([]audit.Event, error) bool) {
		err := p.mayOperate()
		var next int64
		if err == nil {
			next, err = s.firstEvent(ctx, f)
		}
		for err == nil {
			var some []audit.Event
			if some, err = s.someEvents(ctx, next); err != nil {
				break
			}
			next += int64(len(some))
			more := len(some) == eventsAtOnce
			if !yield(s.about(some, f.Agent), nil) || !more && !f.Follow {
				return
			}
			if !more && !s.wait(ctx) {
				return
			}
		}
		yield(nil, err)
	}
}

// wait waits until there may be more. It returns false if nobody asks any more.
func (s *Service) wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
	case <-s.Stopping:
	case <-time.After(followEvery):
		return true
	}
	return false
}

// about returns those events that an agent asked for, or that were done to it. No
// agent means all.
func (s *Service) about(some []audit.Event, agent string) []audit.Event {
	if agent == "" {
		return some
	}
	id := s.TrustDomain.ID(agents.Name(agent))
	return slices.DeleteFunc(some, func(e audit.Event) bool { return e.Subject != agent && e.Actor != id })
}

// firstEvent returns where to begin: at an instant, for a follower without one
// at the end, else at the beginning.
func (s *Service) firstEvent(ctx context.Context, f api.EventFilter) (seq int64, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		switch {
		case !f.Since.IsZero():
			seq, err = audit.After(tx, f.Since)
		case f.Follow:
			seq, err = audit.Size(tx)
		}
		return err
	})
	return seq, err
}

func (s *Service) someEvents(ctx context.Context, from int64) (some []audit.Event, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		some = nil
		for e, err := range audit.Since(tx, from) {
			if err != nil {
				return err
			}
			if some = append(some, e); len(some) == eventsAtOnce {
				return nil
			}
		}
		return nil
	})
	return some, err
}
