package operator

import (
	"context"
	"errors"
	"iter"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A reader yields the events from a position on.
type reader func(ctx context.Context, from int64) iter.Seq2[[]audit.Event, error]

// present yields what read does, without the entries of segments that are not there.
func present(ctx context.Context, from int64, read reader) iter.Seq2[[]audit.Event, error] {
	return func(yield func([]audit.Event, error) bool) {
		for again := true; again; {
			again = false
			for some, err := range read(ctx, from) {
				if sealed, ok := errors.AsType[*audit.SealedError](err); ok {
					from, again = sealed.Segment.Next, true
					break
				}
				if !yield(some, err) {
					return
				}
			}
		}
	}
}

// missing tells which entries are left out of the answer of [Service.Events].
func (s *Service) missing(ctx context.Context, _ policy.Principal, f api.EventFilter) ([]api.Gap, error) {
	c, err := s.choose(ctx, f)
	if err != nil {
		return nil, err
	}
	list, err := s.Authority.AuditLog().Missing(ctx, c.first, c.end)
	return authority.Gaps(list), err
}
