package authority

import (
	"context"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// sinkLate is how old an event may be that a sink of the audit log has not got.
const sinkLate = 5 * time.Minute

// sinkReasons tell of sinks that are late. They delay nothing else.
func (a *Authority) sinkReasons(ctx context.Context, now time.Time) (found []api.Reason) {
	for _, s := range a.sinks(ctx) {
		if !s.Oldest.IsZero() && now.Sub(s.Oldest) > sinkLate {
			text := "the audit sink %s is %d entries behind, since %s"
			args := []any{s.Name, s.Behind, s.Oldest.UTC().Format(time.RFC3339)}
			if s.Error != "" {
				text, args = text+": %s", append(args, s.Error)
			}
			found = append(found, warning(auditSinkLate, "see to the receiver; the server goes on trying", text, args...))
		}
	}
	return found
}

// sinks says how far the sinks of the audit log are. Without an answer from the store, which
// is a reason of its own, it says nothing.
func (a *Authority) sinks(ctx context.Context) (list []api.Sink) {
	if a.Sinks == nil {
		return nil
	}
	all, err := a.Sinks(ctx)
	if err != nil {
		return nil
	}
	for _, s := range all {
		list = append(list, api.Sink{Name: s.Name, Next: s.Next, Behind: s.Behind, Oldest: s.Oldest, Error: s.Error})
	}
	return list
}
