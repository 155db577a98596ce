package server

import (
	"context"
	"log/slog"
	"net/url"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/server/limit"
	"github.com/brevet-ca/brevet/server/sinks"
)

// A loop is work that goes on in the background.
type loop struct {
	name   string        // stands in profiles
	every  time.Duration // 0 means that run goes on until its context is done
	run    func(context.Context) error
	failed string // what the log says of an error
	last   bool   // run finishes, and runs once more, when the server stops
}

// loops lists the background work of a running server. At the end the loops that have
// last run in this order.
func (s *Server) loops() []loop {
	a := s.authority
	loops := []loop{
		{name: "clock", run: plain(a.WatchClock)},
		{name: "crl", run: plain(func(ctx context.Context) {
			a.CRL.Run(ctx, func(err error) { s.Log.Error("the CRL could not be published; trying again in 10s", "error", err) })
		})},
		{"root-crl", crl.Interval, func(ctx context.Context) error { return a.CRL.PublishRoots(ctx, false) }, "a root could not sign its CRL; the last one stays, trying again in 5m", false},
		{"keys", 10 * time.Second, a.PromoteDue, "a key could not take over; trying again in 10s", false},
		{"rotate", time.Minute, a.RotateDue, "a key is due and could not be rotated; trying again later", false},
		{"root-requests", time.Minute, a.KeepRequests, "what a root is to sign could not be written; trying again in a minute", false},
		{"spent-keys", 20 * time.Minute, a.DestroySpent, "a retired key could not be destroyed; trying again later", false},
		{"address", 10 * time.Second, a.FollowAddress, "a move of the authority could not be followed; trying again in 10s", false},
		{"renew", time.Minute, a.Own.Renew, "renewing the server's certificate failed; trying again in a minute", false},
		{"compromised", time.Minute, a.CA.RememberCompromised, "compromised keys could not be remembered; the records of their certificates stay, trying again in a minute", false},
		{name: "segments", run: plain(a.CutLog)},
		{"lists", 10 * time.Minute, a.CompleteLists, "lists of certificates of an earlier version could not be completed; trying again in 10m", false},
		{name: "sinks", run: plain(s.sinks.Run)},
		{name: "sweep", every: 5 * time.Minute, run: plain(newSweeper(s.db, s.clock, s.Log).run)},
		{"refusals", time.Minute, func(ctx context.Context) error { return s.policy.Flush(ctx, s.clock.Now()) }, "refusals of the last minute are lost", true},
		{"checkpoint", time.Minute, a.SaveCheckpoint, "the audit log's checkpoint could not be saved", true},
		{"health", time.Minute, a.WatchHealth, "a change of health could not be recorded; trying again in a minute", false},
		{"last-use", time.Minute, func(ctx context.Context) error { return s.lastUse.Store(ctx, s.db, stopped(s.stopping)) }, "when agents were last seen could not be stored; trying again in a minute", true},
		{"relying", time.Minute, s.storeRelying, "who relies on the authority could not be stored; trying again later", true},
	}
	if s.traces != nil {
		loops = append(loops, loop{name: "traces", run: plain(s.traces)})
	}
	if s.LimitMemory {
		loops = append(loops, loop{name: "memory", every: time.Second, run: plain(func(context.Context) { limit.Memory(s.listeners) })})
	}
	return loops
}

// plain makes the run of a loop of a function that has no errors.
func plain(f func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error {
		f(ctx)
		return nil
	}
}

// sinksFrom says whose events the sinks send, of an authority at the URL that at returns.
func sinksFrom(f *config.File, at func() string, version string) sinks.From {
	host := func() string {
		u, _ := url.Parse(at()) // which was checked before it came on record
		return u.Hostname()
	}
	return sinks.From{TrustDomain: string(f.TrustDomain), Host: host, Version: version}
}

// storeRelying stores the observations of relying parties if they are worth a commit. When
// the server stops it stores all.
func (s *Server) storeRelying(ctx context.Context) error {
	return s.relying.Store(ctx, s.db, s.clock.Now(), stopped(s.stopping))
}

// stopped reports whether a channel is closed.
func stopped(stopping <-chan struct{}) bool {
	select {
	case <-stopping:
		return true
	default:
		return false
	}
}

// do runs the loop's work once.
func (l loop) do(ctx context.Context, log *slog.Logger) {
	if l.last {
		ctx = context.WithoutCancel(ctx)
	}
	if err := l.run(ctx); err != nil && ctx.Err() == nil {
		log.Error(l.failed, "error", err)
	}
}

// start starts the loop, which ends soon after ctx is done.
func (l loop) start(ctx context.Context, wait *sync.WaitGroup, log *slog.Logger) {
	wait.Go(func() {
		pprof.Do(ctx, pprof.Labels("loop", l.name), func(ctx context.Context) {
			if l.every == 0 {
				l.do(ctx, log)
				return
			}
			t := time.NewTicker(l.every)
			defer t.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.C:
					l.do(ctx, log)
				}
			}
		})
	})
}
