package server

import (
	"context"
	"log/slog"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/server/limit"
)

// A loop is work that goes on in the background.
type loop struct {
	name  string        // stands in profiles
	every time.Duration // 0 means that run goes on until its context is done
	run   func(context.Context)
}

// loops lists the background work of a running server.
func (s *Server) loops() []loop {
	unpublished := func(err error) {
		s.Log.Error("the CRL could not be published; trying again in 10s", "error", err)
	}
	loops := []loop{
		{"clock", 0, s.authority.WatchClock},
		{"crl", 0, func(ctx context.Context) { s.authority.CRL.Run(ctx, unpublished) }},
		{"root-crl", crl.Interval, trying(s.Log, "a root could not sign its CRL; the last one stays, trying again in 5m", func(ctx context.Context) error {
			return s.authority.CRL.PublishRoots(ctx, false)
		})},
		{"keys", 10 * time.Second, trying(s.Log, "a key could not take over; trying again in 5m", s.authority.PromoteDue)},
		{"spent-keys", 20 * time.Minute, trying(s.Log, "a retired key could not be destroyed; trying again later", s.authority.DestroySpent)},
		{"renew", time.Minute, trying(s.Log, "renewing the server's certificate failed; trying again in a minute", s.authority.Own.Renew)},
		{"refusals", time.Minute, s.flush},
		{"checkpoint", time.Minute, saveCheckpoint(s.authority)},
		{"relying", time.Minute, func(ctx context.Context) { s.saveRelying(ctx, false) }},
		{"compromised", time.Minute, compromised{s.authority.CA, s.Log}.remember},
		{"sweep", 5 * time.Minute, newSweeper(s.db, s.clock, s.Log).run},
	}
	if s.LimitMemory {
		loops = append(loops, loop{"memory", time.Second, func(context.Context) { limit.Memory(s.listeners) }})
	}
	return loops
}

// start starts the loop, which ends soon after ctx is done.
func (l loop) start(ctx context.Context, wait *sync.WaitGroup) {
	wait.Go(func() {
		pprof.Do(ctx, pprof.Labels("loop", l.name), func(ctx context.Context) {
			if l.every == 0 {
				l.run(ctx)
				return
			}
			t := time.NewTicker(l.every)
			defer t.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.C:
					l.run(ctx)
				}
			}
		})
	})
}

// trying returns a run that logs its errors, unless the server is stopping.
func trying(log *slog.Logger, failed string, run func(context.Context) error) func(context.Context) {
	return func(ctx context.Context) {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			log.Error(failed, "error", err)
		}
	}
}

// flush records the refusals that were only counted, even if the server is stopping.
func (s *Server) flush(ctx context.Context) {
	if err := s.policy.Flush(context.WithoutCancel(ctx), s.clock.Now()); err != nil {
		s.Log.Error("refusals of the last minute are lost", "error", err)
	}
}

// saveCheckpoint finishes even if the server is stopping.
func saveCheckpoint(a *authority.Authority) func(context.Context) {
	return func(ctx context.Context) {
		if err := a.SaveCheckpoint(context.WithoutCancel(ctx)); err != nil {
			a.Log.Error("the audit log's checkpoint could not be saved", "error", err)
		}
	}
}

// saveRelying stores the observations of relying parties: all, or only if they are
// worth a commit.
func (s *Server) saveRelying(ctx context.Context, all bool) {
	if err := s.relying.Store(context.WithoutCancel(ctx), s.db, s.clock.Now(), all); err != nil {
		s.Log.Warn("who relies on the authority could not be stored; trying again later", "error", err)
	}
}
