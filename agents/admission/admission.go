// Package admission counts requests against the limits of those who send them.
//
// A [Request] is counted before any work is done for it. At first it counts as a stranger's,
// against the network address that it came from and, with IPv6, against the networks of 64,
// 56 and 48 bits around it. When the request proves to come from a registered agent, that
// count is taken back and the request counts against the agent, so neighbours at the address
// never stop an agent. A request from an address that is over its limit may still prove to
// come from an agent. If it does not, it is refused with [ErrLimited] whatever else is wrong
// with it, and nothing is recorded.
//
// Only refused requests use up a limit. Counts are kept in memory: each node has its
// own, and a restart forgets them.
package admission

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// ErrLimited says that too many requests of the same sender were refused lately.
var ErrLimited = errors.New("too many refused requests came from this address or agent; wait a little")

// RetryAfter is how long a sender that is over its limit is told to wait.
const RetryAfter = 10 * time.Second

// Counters hold the counts of all senders.
type Counters struct {
	now       func() time.Time
	strangers table
	agents    table // apart, so that no number of strangers makes us forget an agent

	// LastUse is told of each agent that a request proves to come from. It may be nil.
	LastUse *agents.LastUse
}

// New returns Counters that use the clock now.
func New(now func() time.Time) *Counters {
	return &Counters{now: now, strangers: newTable(), agents: newTable()}
}

// agentLimit bounds the refused requests of one agent.
var agentLimit = limit{burst: 50, every: time.Second / 5}

// window is burst times every of all limits: how long a sender that is at its limit takes to
// run down.
const window = 10 * time.Second

// Limited returns how many addresses and networks, and how many agents, are at their limits.
func (c *Counters) Limited() (strangers, agents int) {
	now := c.now()
	return c.strangers.limited(now), c.agents.limited(now)
}

// Admit counts a request from a network address.
func (c *Counters) Admit(from netip.Addr) *Request {
	r := &Request{counters: c, at: c.now()}
	r.networks, r.n = networksOf(&c.strangers, from)
	r.through = &c.strangers
	r.counted = r.through.take(r.at, r.networks[:r.n])
	r.over = !r.counted
	return r
}

// Refused counts a refusal of what an agent asked for, and reports whether it is within
// the agent's limit.
func (c *Counters) Refused(n agents.Name) bool {
	return c.agents.take(c.now(), []count{c.agents.count(string(n), agentLimit)})
}

// blocked reports whether the agent is over its limit.
func (c *Counters) blocked(at time.Time, n agents.Name) bool {
	return !c.agents.has(at, c.agents.count(string(n), agentLimit))
}

// A Request is one that was counted. The methods of a nil Request limit nothing.
type Request struct {
	counters *Counters
	at       time.Time // when it came

	mu       sync.Mutex // protects what follows
	through  *table     // that holds the counts of networks; the one of agents if a proxy is counted
	networks [4]count
	n        int
	counted  bool        // the networks hold a count for it
	over     bool        // they had no room for it
	agent    agents.Name // that it proved to come from
	recorded bool        // a refusal was counted against the agent
}

// Prove says that the request comes from an agent: it was made with a certificate,
// a key or a secret of the agent. The stranger's count is returned. The error is ErrLimited
// if the agent is over its own limit.
func (r *Request) Prove(n agents.Name) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.giveBack()
	r.agent, r.over = n, false
	r.counters.LastUse.Note(n, r.at)
	if r.counters.blocked(r.at, n) {
		return ErrLimited
	}
	return nil
}

// Through says that the request comes through a proxy, which is an agent. It is counted against
// that agent in place of the address, until it proves to come from another one. A proxy
// that is over its limit stops nobody who proves that.
func (r *Request) Through(proxy agents.Name) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.agent != "" {
		return
	}
	r.giveBack()
	r.through, r.n = &r.counters.agents, 1
	r.networks[0] = r.through.count(string(proxy), agentLimit)
	r.counted = r.through.take(r.at, r.networks[:1])
	r.over = !r.counted
	r.counters.LastUse.Note(proxy, r.at)
}

// Used says that the request shows that an agent is at work, although it comes from another:
// a resource server asks about the agent's token.
func (r *Request) Used(n agents.Name) {
	if r != nil {
		r.counters.LastUse.Note(n, r.at)
	}
}

// Pardon returns the count of a request whose refusal is not the sender's fault.
func (r *Request) Pardon() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.giveBack()
	r.over = false
}

func (r *Request) giveBack() {
	if r.counted {
		r.through.give(r.networks[:r.n])
		r.counted = false
	}
}

// Proven reports whether the request proved to come from an agent.
func (r *Request) Proven() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.agent != ""
}

// Over reports whether the request is of a stranger that is over its limit.
func (r *Request) Over() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// Refused counts a refusal of the request, and reports whether it may be recorded. The
// cost of a stranger's request was counted at the beginning.
func (r *Request) Refused() bool {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.agent == "" {
		return !r.over
	}
	r.recorded = true
	return r.counters.Refused(r.agent)
}

// End ends the request. It counts a failure against the agent unless a refusal
// was counted already.
func (r *Request) End(failed bool) {
	if !failed {
		r.Pardon()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.agent != "" && !r.recorded {
		r.counters.Refused(r.agent)
	}
}

type key struct{}

// With returns a context that carries r.
func With(ctx context.Context, r *Request) context.Context { return context.WithValue(ctx, key{}, r) }

// Of returns the request that ctx carries, or nil.
func Of(ctx context.Context) *Request {
	r, _ := ctx.Value(key{}).(*Request)
	return r
}

// Prove is [Request.Prove] of the request that ctx carries.
func Prove(ctx context.Context, n agents.Name) error { return Of(ctx).Prove(n) }
