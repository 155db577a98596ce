package operator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/audit/cef"
)

// Export yields the entries of the audit log as lines, many at a time, and records before that
// an operator got them. It is Events for those who keep the log elsewhere.
func (s *Service) Export(ctx context.Context, p policy.Principal, in api.ExportRequest) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		ctx, cancel := s.untilStop(ctx)
		defer cancel()
		p, err := s.may(ctx, p, audit.AuditExport, "")
		if err != nil {
			yield(nil, err)
			return
		}
		line, err := s.line(in.Format)
		if err != nil {
			yield(nil, err)
			return
		}
		s.flush(ctx)
		c, err := s.choose(ctx, api.EventFilter{From: in.From, Since: in.Since})
		if err == nil {
			err = s.recordExport(ctx, p, c.first)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for some, err := range s.there(ctx, &c) {
			var b []byte
			for _, e := range some {
				b = append(line(b, &e), '\n')
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
		yield(nil, nil) // so that the answer of an export of nothing begins
	}
}

// line returns what writes an event in a format.
func (s *Service) line(format string) (func([]byte, *audit.Event) []byte, error) {
	switch format {
	case "", "jsonl":
		return func(b []byte, e *audit.Event) []byte { return append(b, e.JSON()...) }, nil
	case "cef":
		return cef.Device{TrustDomain: string(s.TrustDomain), Version: s.Authority.Version}.Append, nil
	}
	return nil, fmt.Errorf("%w format %.80q: want jsonl or cef", agents.ErrInvalid, format)
}

// recordExport records that an operator gets the log from a position on. On a full disk the
// operator gets it without the record: the log may be what they want to save.
func (s *Service) recordExport(ctx context.Context, p policy.Principal, first int64) error {
	err := s.do(ctx, p, act{
		action: audit.AuditExport, subject: string(s.TrustDomain), reasons: []string{fmt.Sprintf("from entry %d on", first)},
		change: func(storage.Tx, time.Time, *audit.Details) error { return nil },
	})
	if errors.Is(err, storage.ErrFull) {
		s.Log.Warn("an export of the audit log is not recorded", "request", audit.RequestOf(ctx), "error", err)
		return nil
	}
	return err
}
