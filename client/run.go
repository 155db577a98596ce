package client

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

const (
	minRetry = time.Second
	maxRetry = 30 * time.Second
	// glance is how long the loops sleep without looking at the clock: a timer
	// stands still while the machine is suspended.
	glance = 10 * time.Second
	// look is how often Run looks whether somebody has enrolled the agent again.
	look = time.Minute
	// spread is the time over which the first tries of agents are spread that find
	// themselves late: they were started, or woke up, together.
	spread = 5 * time.Second
)

// Run keeps the certificate fresh until ctx is done: it renews when two thirds
// of the certificate's life are over, and tries again if that fails, also after the
// certificate has expired, until it cannot renew any more. Several
// processes may run over one directory: what one renews the others take over. If the agent
// is enrolled again there, Run takes that over within a minute.
//
// report, if not nil, is called each time the certificate was replaced, with
// nil, and each time a renewal failed, with the reason. At the beginning it is called if the
// agent has a lasting key that cannot be read. Run returns when ctx
// is done, with its error, or with an error that is [ErrReenroll] when nothing
// but an enrollment helps: the agent's certificates were revoked, or the
// authority was away until the last one could not renew any more.
func (id *Identity) Run(ctx context.Context, report func(error)) error {
	if report == nil {
		report = func(error) {}
	}
	if err := id.checkLasting(); err != nil {
		report(fmt.Errorf("the lasting key of %s is of no use: %w", id.Agent(), err))
	}
	file := id.dir.certificate()
	for seen, t := id.current.Load(), (tries{}); ; {
		p := id.pair()
		if p != seen {
			seen, t = p, tries{}
			report(nil)
		}
		if err := t.over(id, p, time.Now()); err != nil {
			return err
		}
		if due := t.due(p, time.Now()); time.Now().Before(due) {
			if next := time.Now().Add(look); next.Before(due) {
				due = next
			}
			if !wait(ctx, due, p.replaced) {
				return context.Cause(ctx)
			}
			if now := id.dir.certificate(); !now.same(file) {
				file = now
				id.adopt()
			}
			continue
		}
		err := id.Renew(ctx)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		report(err)
		if errors.Is(err, ErrReenroll) {
			return err
		}
		if !wait(ctx, t.failed(err, id.end(p), time.Now()), p.replaced) {
			return context.Cause(ctx)
		}
	}
}

// tries are the attempts to replace one certificate.
type tries struct {
	spread   bool // the first one has its time
	start    time.Time
	failures int
	since    time.Time // the first failure, with a monotonic reading
}

// due returns when the first try is due. A certificate that is found to be late does not
// renew at once: others may be as late.
func (t *tries) due(p *pair, now time.Time) time.Time {
	if !t.spread {
		t.spread, t.start = true, p.renewAt
		if now.Round(0).Sub(p.renewAt) > 2*glance {
			t.start = now.Add(time.Duration(mathrand.Int64N(int64(spread))))
		}
	}
	if t.failures > 0 {
		return now
	}
	return t.start
}

// failed returns when to try again after a failure, given when the certificate cannot
// renew any more. The last tries come closer and closer to that end, and none comes at it.
func (t *tries) failed(err error, end, now time.Time) time.Time {
	if t.failures == 0 {
		t.since = now
	}
	d := retryDelay(err, t.failures)
	t.failures++
	left := end.Sub(now.Round(0))
	switch {
	case left <= 0 || d < left/2: // the end is over by this clock, which may be wrong, or it is far
		return now.Add(d)
	case left > minRetry:
		return now.Add(left/4 + time.Duration(mathrand.Int64N(int64(left/4))))
	}
	return end
}

// over returns an error if the certificate cannot renew any more. This machine's clock may
// be wrong for a while, or the machine was asleep: at least one try has failed, and as much time as
// the window has passed since then without a renewal.
func (t *tries) over(id *Identity, p *pair, now time.Time) error {
	end := id.end(p)
	if id.lasting() != "" || t.failures == 0 || now.Round(0).Before(end) || now.Sub(t.since) < id.window() {
		return nil
	}
	return p.expired(now, fmt.Errorf("and could renew until %s: %w", end.UTC().Format(time.RFC3339), p.reenroll()))
}

// expired says that the certificate has expired, with a hint at the clock.
func (p *pair) expired(now time.Time, what error) error {
	return fmt.Errorf("the certificate of %s expired at %s, here it is %s, %w",
		p.agent(), p.Leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), what)
}

// unknownWindow is for directories that say nothing of a window: an earlier version wrote them.
// The authority decides in any case.
const unknownWindow = 24 * time.Hour

// window returns for how long after its end a certificate may renew, as the authority last said.
func (id *Identity) window() time.Duration {
	set, err := id.dir.settings()
	if err != nil || set.RenewGrace == nil {
		return unknownWindow
	}
	return time.Duration(*set.RenewGrace) * time.Second
}

// end returns when a certificate cannot renew any more.
func (id *Identity) end(p *pair) time.Time { return p.Leaf.NotAfter.Add(id.window()) }

// retryDelay returns how long to wait after a failure, given how many came before it.
// The delay doubles each time; up to a half of it is random. It is at least as long
// as the authority asked for.
func retryDelay(err error, failures int) time.Duration {
	d := min(minRetry<<min(failures, 10), maxRetry)
	d = d/2 + time.Duration(mathrand.Int64N(int64(d/2)))
	var refused *Error
	if errors.As(err, &refused) {
		d = max(d, refused.RetryAfter)
	}
	return d
}

// wait returns true at the time t of the wall clock or when wake is closed, and
// false when ctx is done before.
func wait(ctx context.Context, t time.Time, wake <-chan struct{}) bool {
	t = t.Round(0) // drop the monotonic reading
	for {
		left := time.Until(t)
		if left <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(min(left, glance))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-wake:
			timer.Stop()
			return true
		case <-timer.C:
		}
	}
}
