package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// loops starts what goes on in the background until ctx is done.
func (s *Server) loops(ctx context.Context, wait *sync.WaitGroup) {
	wait.Go(func() { s.watchClock(ctx) })
	wait.Go(func() {
		s.crl.Run(ctx, func(err error) { s.Log.Error("the CRL could not be published; trying again in 10s", "error", err) })
	})
	every(ctx, wait, time.Minute, func() {
		if err := s.renew(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("renewing the server's certificate failed; trying again in a minute", "error", err)
		}
		s.saveCheckpoint()
		s.saveRelying(false)
	})
	sweep := newSweeper(s)
	every(ctx, wait, 5*time.Minute, func() { sweep.run(ctx) })
}

func every(ctx context.Context, wait *sync.WaitGroup, d time.Duration, do func()) {
	wait.Go(func() {
		t := time.NewTicker(d)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				do()
			}
		}
	})
}

// saveCheckpoint keeps a signed checkpoint of the audit log, and the time, in
// the store.
func (s *Server) saveCheckpoint() {
	ctx := context.Background()
	var signed []byte
	err := s.db.View(ctx, func(tx storage.Tx) (err error) {
		signed, err = s.checkpoint(tx)
		return err
	})
	if err == nil {
		err = s.db.Update(ctx, func(tx storage.Tx) error {
			return errors.Join(audit.Save(tx, signed), times.Put(tx, latestKey, s.clock.Latest()))
		})
	}
	if err != nil {
		s.Log.Error("the audit log's checkpoint could not be saved", "error", err)
	}
}

// retention is how long a partition of records stays after its hour is over,
// by a clock that nobody sets: a wall clock that jumps ahead and back again
// must not have made the store forget what was revoked.
const retention = time.Hour

// A sweeper drops the partitions that are over.
type sweeper struct {
	*Server
	seen map[string]time.Time // when a partition was first found to be over; monotonic
}

func newSweeper(s *Server) *sweeper { return &sweeper{s, map[string]time.Time{}} }

func (s *sweeper) run(ctx context.Context) {
	var ended []string
	err := s.db.View(ctx, func(tx storage.Tx) (err error) {
		ended, err = storage.Ended(tx, s.clock.Earliest())
		return err
	})
	if err != nil {
		s.Log.Error("looking for expired records failed", "error", err)
		return
	}
	over := map[string]time.Time{}
	for _, name := range ended {
		first, known := s.seen[name]
		if !known {
			first = time.Now()
		}
		if time.Since(first) < retention {
			over[name] = first
			continue
		}
		// This is what makes room in a store that has filled its disk.
		err := s.db.Update(storage.Urgent(ctx), func(tx storage.Tx) error { return storage.DropPartition(tx, name) })
		if err != nil {
			s.Log.Error("dropping expired records failed; trying again", "records", name, "error", err)
			over[name] = first
		}
	}
	s.seen = over // one that is not over any more starts anew
}
