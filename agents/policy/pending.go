package policy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// pending are refusals that are not in the audit log yet. Strangers can cause any number
// of them, and so can an agent that is over its limit. So each of these only raises a
// count, and [Point.Flush] records the counts: no more events than there are agents,
// kinds of requests and reasons. A crash loses what was counted since the last Flush.
type pending struct {
	mu     sync.Mutex
	counts map[alike]*counted
}

// alike is what refusals have in common that are counted together.
type alike struct {
	actor, subject, code string
	action               audit.Action
}

type counted struct {
	last  audit.Event
	since time.Time
	n     int64
}

// maxCounts bounds the memory. Beyond it, refusals are counted without their subject.
const maxCounts = 4096

// add adds one refusal or several that are alike.
func (p *pending) add(more counted) {
	e := &more.last
	k := alike{actor: e.Actor, subject: e.Subject, action: e.Action}
	if e.Details != nil && len(e.Details.Codes) > 0 {
		k.code = e.Details.Codes[0]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = map[alike]*counted{}
	}
	c := p.counts[k]
	if c == nil && len(p.counts) >= maxCounts {
		k.subject, e.Subject, k.code = "", "", ""
		c = p.counts[k]
	}
	if c == nil {
		p.counts[k] = &more
		return
	}
	c.last = more.last
	c.n += more.n
}

// take returns the counts, in the order of their first refusals, and forgets them.
func (p *pending) take() []*counted {
	p.mu.Lock()
	counts := p.counts
	p.counts = nil
	p.mu.Unlock()
	return slices.SortedFunc(maps.Values(counts), func(a, b *counted) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.last.Subject, b.last.Subject), cmp.Compare(a.last.Action, b.last.Action))
	})
}

// event is the last of the refusals, with how many there were.
func (c *counted) event(now time.Time) audit.Event {
	e := c.last
	if c.n > 1 {
		e.Reasons = append(slices.Clone(e.Reasons), fmt.Sprintf("the last of %d such refusals since %s", c.n, c.since.UTC().Format(time.RFC3339)))
		d := e.Details.Clone()
		d.Counts = &audit.Counts{Refusals: c.n}
		e.Details = &d
	}
	if e.Time.Before(now) { // what is recorded later has a later time
		e.Time = now.UTC()
	}
	return e
}

// Flush records the refusals that were only counted so far. If it fails, they stay counted.
func (p *Point) Flush(ctx context.Context, now time.Time) error {
	counts := p.pending.take()
	if len(counts) == 0 {
		return nil
	}
	err := p.DB.Update(ctx, func(tx storage.Tx) error {
		for _, c := range counts {
			if _, err := audit.Append(tx, c.event(now)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, c := range counts {
			p.pending.add(*c)
		}
		return fmt.Errorf("recording refusals that were counted: %w", err)
	}
	return nil
}

// countsOnly reports whether a refusal of q is only counted: nobody proved to be the agent
// that it came from, or that agent is over its limit.
func countsOnly(ctx context.Context, q *Query, e *audit.Event) bool {
	r := admission.Of(ctx)
	switch {
	case q.Principal.Kind == KindBearer && !r.Proven():
		return e.Decision == audit.Deny
	case q.Principal.client():
		return !r.Refused()
	}
	return false
}
