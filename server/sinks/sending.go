package sinks

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/brevet-ca/brevet/storage/audit"
)

// A sending is what goes on over one connection, which is opened for the first event.
type sending struct {
	*follower
	conn   conn
	next   int64                   // the position after the last event that was sent
	broken context.CancelCauseFunc // called when the other side ends the connection
}

func (s *sending) all(ctx context.Context, events iter.Seq2[[]audit.Event, error]) error {
	for some, err := range events {
		if err == nil && s.conn == nil {
			err = s.connect(ctx)
		}
		if err == nil {
			err = s.send(ctx, some)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sending) connect(ctx context.Context) error {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.conn = c
	s.use(c)
	go watch(ctx, c.lost(), s.broken)
	return nil
}

func (s *sending) send(ctx context.Context, some []audit.Event) error {
	for chunk := range slices.Chunk(some, chunkEvents) {
		if err := s.conn.send(ctx, chunk); err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		s.next = end(chunk)
		s.note(nil)
	}
	return nil
}

// drop notes what has arrived, and closes the connection.
func (s *sending) drop() {
	if s.conn != nil {
		s.use(nil)
		s.conn.abandon()
	}
}

// watch cancels what goes on over a connection when the other side ends it.
func watch(ctx context.Context, lost <-chan struct{}, cancel context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
	case <-lost:
		cancel(errLost)
	}
}
