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

// Events yields the entries of the audit log that f chooses, in batches. Some batches
// are empty: they show the reader that the answer has begun. It ends with the context,
// or when the server is about to stop.
func (s *Service) Events(ctx context.Context, p policy.Principal, f api.EventFilter) iter.Seq2[[]audit.Event, error] {
	return func(yield func([]audit.Event, error) bool) {
		ctx, cancel := s.untilStop(ctx)
		defer cancel()
		err := policy.MayOperate(p)
		if err == nil && f.Agent != "" {
			_, err = agents.ParseName(f.Agent)
		}
		var first int64
		if err == nil {
			s.flush(ctx)
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
		found := f.Agent == ""
		for some, err := range read(ctx, s.DB, first) {
			if some = s.about(some, f.Agent); len(some) == 0 && err == nil && !f.Follow {
				continue
			}
			found = true
			if !yield(some, err) || err != nil {
				return
			}
		}
		if !found && !f.Follow {
			if err := s.known(ctx, f.Agent); err != nil { // what was refused to others has their names
				yield(nil, err)
				return
			}
		}
		yield(nil, nil)
	}
}

// known returns an error unless an agent has that name.
func (s *Service) known(ctx context.Context, agent string) error {
	return s.DB.View(ctx, func(tx storage.Tx) error { return checkAgent(tx, agent) })
}

// flush puts the refusals into the log that were only counted so far. A full disk does not
// keep an operator from reading the log without them.
func (s *Service) flush(ctx context.Context) {
	if err := s.Policy.Flush(ctx, s.Clock.Now()); err != nil {
		s.Log.Warn("refusals of the last minute are not in the log yet", "error", err)
	}
}

// untilStop returns a context that also ends when the server is about to stop.
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

// about returns the events whose actor or subject is the agent. An empty name means
// all events.
func (s *Service) about(some []audit.Event, agent string) []audit.Event {
	if agent == "" {
		return some
	}
	id := s.TrustDomain.ID(agents.Name(agent))
	return slices.DeleteFunc(some, func(e audit.Event) bool { return e.Subject != agent && e.Actor != id })
}

// firstEvent returns where to begin: at the instant given, if there is one. Without
// one, a follower begins at the end, anybody else at the beginning.
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
