package operator

import (
	"context"
	"iter"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Events yields the entries of the audit log that f chooses, some at a time, and now
// and then none, so that a reader sees that the answer has begun. It ends with the
// context, or when the server is about to stop.
func (s *Service) Events(ctx context.Context, p policy.Principal, f api.EventFilter) iter.Seq2[[]audit.Event, error] {
	return func(yield func([]audit.Event, error) bool) {
		ctx, cancel := s.untilStop(ctx)
		defer cancel()
		err := mayOperate(p)
		var first int64
		if err == nil {
			first, err = s.firstEvent(ctx, f)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		read := audit.Read
		if f.Follow {
			read = audit.Follow
			if !yield(nil, nil) {
				return
			}
		}
		for some, err := range read(ctx, s.DB, first) {
			if !yield(s.about(some, f.Agent), err) || err != nil {
				return
			}
		}
		yield(nil, nil)
	}
}

// untilStop returns a context that ends, too, when the server is about to stop.
func (s *Service) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-s.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
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
