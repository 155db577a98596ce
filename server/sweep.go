package server

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

// retention is how long a partition of records stays after its hour is over, by a
// monotonic clock. A wall clock that jumps ahead and back again must not make the
// store forget revocations.
const retention = time.Hour

// A sweeper drops the partitions that are over.
type sweeper struct {
	db    storage.DB
	clock *clock.Clock
	log   *slog.Logger
	seen  map[string]time.Time // when a partition was first found to be over; monotonic
}

func newSweeper(db storage.DB, c *clock.Clock, log *slog.Logger) *sweeper {
	return &sweeper{db, c, log, map[string]time.Time{}}
}

func (s *sweeper) run(ctx context.Context) {
	var ended []string
	var unsettled time.Time
	err := s.db.View(ctx, func(tx storage.Tx) (err error) {
		if unsettled, err = agents.Unsettled(tx); err != nil {
			return err
		}
		ended, err = storage.Ended(tx, s.clock.Earliest())
		return err
	})
	if err != nil {
		s.log.Error("looking for expired records failed", "error", err)
		return
	}
	over := map[string]time.Time{}
	for _, name := range ended {
		first, known := s.seen[name]
		if !known {
			first = time.Now()
		}
		// The records that say which keys are compromised stay until the keys are remembered.
		// The others make room for that, if the disk is full.
		needed := !unsettled.IsZero() && (strings.HasPrefix(name, "certificates/") || strings.HasPrefix(name, "revocations/"))
		if needed || time.Since(first) < retention {
			over[name] = first
			continue
		}
		// Only this makes room in a store that has filled its disk.
		err := s.db.Update(storage.Urgent(ctx), func(tx storage.Tx) error { return storage.DropPartition(tx, name) })
		if err != nil {
			s.log.Error("dropping expired records failed; trying again", "records", name, "error", err)
			over[name] = first
		}
	}
	s.seen = over // a partition that is no longer over starts again
}
