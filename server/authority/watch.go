package authority

import (
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// acceptClock records that an operator said the machine's clock is right, if it
// made a difference.
func (a *Authority) acceptClock(ctx context.Context) error {
	now := a.Clock.Now()
	if !a.Overruled.After(now.Add(clock.Tolerance)) {
		return nil
	}
	why := fmt.Sprintf("on record was %s, which was wrong", a.Overruled.UTC().Format(time.RFC3339))
	return a.record(ctx, audit.ClockAccept, now, why, a.noteClock)
}

// noteClock records the time of the authority's clock.
func (a *Authority) noteClock(tx storage.Tx) error { return noteTime(tx, a.Clock.Record()) }

// WatchClock logs and records the clock's steps, and renews what they made invalid.
func (a *Authority) WatchClock(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case st := <-a.Clock.Steps():
			a.stepped(ctx, st)
		}
	}
}

func (a *Authority) stepped(ctx context.Context, st clock.Step) {
	a.Log.Warn(st.String()+"; if nobody set it and the machine did not sleep, look after it", "by", clock.FormatDuration(st.By))
	if err := a.Clock.Check(); err != nil {
		a.Log.Error("the clock is wrong", "error", err)
	}
	if err := a.record(ctx, audit.ClockStep, a.Clock.Now(), st.String(), a.noteClock); err != nil {
		a.Log.Error("the clock's step could not be recorded", "error", err)
	}
	if !a.listsValid() {
		if _, err := a.CRL.PublishRegular(ctx); err != nil {
			a.Log.Error("the CRL could not be published after the clock's step", "error", err)
		}
	}
	if err := a.Own.Renew(ctx); err != nil {
		a.Log.Error("renewing the server's certificate after the clock's step failed", "error", err)
	}
}

// listsValid reports whether the published lists are valid at this time.
func (a *Authority) listsValid() bool {
	crls, now := a.CRL.Current(), a.Clock.Shown()
	return len(crls) > 0 && !now.Before(crls[0].ThisUpdate) && now.Before(crls[0].NextUpdate)
}
