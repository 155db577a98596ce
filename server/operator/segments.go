package operator

import (
	"context"
	"fmt"
	"io"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// segments lists the segments of the audit log.
func (s *Service) segments(ctx context.Context, _ policy.Principal, _ struct{}) (list []api.Segment, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		list = []api.Segment{}
		for g, err := range audit.Segments(tx) {
			if err != nil {
				return err
			}
			list = append(list, api.Segment{
				Name: g.Name(), First: g.First, Last: g.Next - 1, Begin: g.Begin, End: g.End, Root: g.Root.String(), Present: s.Authority.Segments.Has(g),
			})
		}
		return nil
	})
	return list, err
}

// Segment writes the file of a segment to w.
func (s *Service) Segment(ctx context.Context, p policy.Principal, in api.SegmentRequest, w io.Writer) error {
	_, err := s.may(ctx, p, audit.AuditExport, "")
	if err != nil {
		return err
	}
	var found audit.Segment
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		for g, err := range audit.Segments(tx) {
			if err != nil {
				return err
			}
			if g.Name() == in.Name {
				found = g
				return nil
			}
		}
		return fmt.Errorf("segment %q: %w", in.Name, storage.ErrNotFound)
	})
	if err != nil {
		return err
	}
	f, err := s.Authority.Segments.Open(found)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
