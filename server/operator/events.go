package operator

import (
	"context"
	"iter"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Events yields the entries of the audit log that f chooses, in batches. Some batches
// are empty: they show the reader that the answer has begun. Entries in segments that are
// not there are left out. It ends with the context, or when the server is about to stop.
func (s *Service) Events(ctx context.Context, p policy.Principal, f api.EventFilter) iter.Seq2[[]audit.Event, error] {
	return func(yield func([]audit.Event, error) bool) {
		ctx, cancel := s.untilStop(ctx)
		defer cancel()
		p, err := s.may(ctx, p, policy.Read, "")
		if err != nil {
			yield(nil, err)
			return
		}
		s.flush(ctx)
		c, err := s.choose(ctx, f)
		switch {
		case err != nil:
			yield(nil, err)
		case f.Follow:
			s.followEvents(ctx, p, &c, yield)
		default:
			s.listEvents(ctx, &c, yield)
		}
	}
}

// followEvents yields the events that are there, and those that come, until p is suspended.
func (s *Service) followEvents(ctx context.Context, p policy.Principal, c *chooser, yield func([]audit.Event, error) bool) {
	if !yield(nil, nil) {
		return
	}
	for some, err := range present(ctx, c.first, s.Authority.AuditLog().Follow) {
		if err == nil {
			err = s.stands(ctx, p)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		if !yield(c.chosen(some), nil) {
			return
		}
	}
}

// listEvents yields the events that are there. An agent that has no events may be
// misspelt, so its name must be registered.
func (s *Service) listEvents(ctx context.Context, c *chooser, yield func([]audit.Event, error) bool) {
	found := c.Agent == ""
	for some, err := range s.there(ctx, c) {
		if len(some) == 0 && err == nil {
			continue
		}
		found = true
		if !yield(some, err) || err != nil {
			return
		}
	}
	if !found {
		if err := s.known(ctx, c.Agent); err != nil { // what was refused to others has their names
			yield(nil, err)
			return
		}
	}
	yield(nil, nil)
}

// there yields the chosen events of the stretch, or the last of them.
func (s *Service) there(ctx context.Context, c *chooser) iter.Seq2[[]audit.Event, error] {
	return func(yield func([]audit.Event, error) bool) {
		if c.Limit > 0 {
			yield(s.last(ctx, c))
			return
		}
		for some, err := range present(ctx, c.first, s.Authority.AuditLog().Read) {
			over := len(some) > 0 && some[len(some)-1].Seq >= c.end
			if !yield(c.chosen(some), err) || over {
				return
			}
		}
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
