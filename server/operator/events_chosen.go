package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A chooser tells which events a filter chooses among those of a stretch of the log.
type chooser struct {
	api.EventFilter
	id         string // the SPIFFE ID of the agent
	first, end int64  // the stretch; a follower has no end
}

// choose checks a filter and finds its stretch of the log.
func (s *Service) choose(ctx context.Context, f api.EventFilter) (chooser, error) {
	c := chooser{EventFilter: f, id: s.TrustDomain.ID(agents.Name(f.Agent))}
	if err := c.check(); err != nil {
		return c, err
	}
	err := c.stretch(ctx, s.Authority.AuditLog())
	return c, err
}

func (c *chooser) check() error {
	if c.Agent != "" {
		if _, err := agents.ParseName(c.Agent); err != nil {
			return err
		}
	}
	switch {
	case c.Action != "" && !slices.ContainsFunc(audit.Actions(), func(a audit.ActionSpec) bool { return c.acts(a.Action) }):
		return fmt.Errorf("%w action %.80q: there is none", agents.ErrInvalid, c.Action)
	case !slices.Contains([]audit.Decision{"", audit.Allow, audit.Deny, audit.Ask}, audit.Decision(c.Decision)):
		return fmt.Errorf("%w decision %.80q: want allow, deny or ask", agents.ErrInvalid, c.Decision)
	case c.Limit > api.MaxEvents:
		return fmt.Errorf("%w limit %d: want %d at most", agents.ErrInvalid, c.Limit, api.MaxEvents)
	case c.Follow && (c.Limit > 0 || c.Before > 0 || !c.Until.IsZero()):
		return fmt.Errorf("%w filter: what is followed has no end and no limit", agents.ErrInvalid)
	}
	return nil
}

// stretch finds the positions between which the events are. Without a beginning, a
// follower begins at the end, anybody else at the beginning.
func (c *chooser) stretch(ctx context.Context, l audit.Log) error {
	size, err := l.Size(ctx)
	if err != nil {
		return err
	}
	c.first, c.end = c.From, size
	if c.Follow && c.From == 0 && c.Since.IsZero() {
		c.first = size
	}
	if c.Before > 0 {
		c.end = min(c.end, c.Before)
	}
	if !c.Since.IsZero() {
		seq, err := l.After(ctx, c.Since)
		if err != nil {
			return err
		}
		c.first = max(c.first, seq)
	}
	if !c.Until.IsZero() {
		seq, err := l.After(ctx, c.Until)
		if err != nil {
			return err
		}
		c.end = min(c.end, seq)
	}
	return nil
}

// chosen returns the events of some that c chooses.
func (c *chooser) chosen(some []audit.Event) []audit.Event {
	return slices.DeleteFunc(some, func(e audit.Event) bool { return !c.chooses(&e) })
}

func (c *chooser) chooses(e *audit.Event) bool {
	return (c.Follow || e.Seq < c.end) && (c.Decision == "" || string(e.Decision) == c.Decision) && c.acts(e.Action) && c.about(e)
}

// acts reports whether an action is the one, or one of those, that the filter names.
func (c *chooser) acts(a audit.Action) bool {
	rest, ok := strings.CutPrefix(string(a), c.Action)
	return ok && (c.Action == "" || rest == "" || rest[0] == '.')
}

// about reports whether the agent is the actor, the subject, or one of those touched.
func (c *chooser) about(e *audit.Event) bool {
	return c.Agent == "" || e.Actor == c.id || e.Concerns(c.Agent)
}

// last returns the last events that are chosen, in their order. It goes back from the end of
// the stretch until it has enough.
func (s *Service) last(ctx context.Context, c *chooser) (found []audit.Event, err error) {
	for end := c.end; end > c.first && int64(len(found)) < c.Limit; {
		first, err := s.Authority.AuditLog().Back(ctx, end)
		if err != nil {
			return nil, err
		}
		some, err := s.between(ctx, max(c.first, first), end)
		if err != nil {
			return nil, err
		}
		found, end = append(c.chosen(some), found...), first
	}
	return found[max(0, len(found)-int(c.Limit)):], nil
}

// between returns the events from one position up to another.
func (s *Service) between(ctx context.Context, first, end int64) (all []audit.Event, err error) {
	for some, err := range present(ctx, first, s.Authority.AuditLog().Read) {
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			if e.Seq >= end {
				return all, nil
			}
			all = append(all, e)
		}
	}
	return all, nil
}
