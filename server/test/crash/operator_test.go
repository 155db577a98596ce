package crash_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// request and granted count what an operator asks for and what was answered.
func (w *crashWorld) request(op operation) { w.tally(w.sent, op) }
func (w *crashWorld) granted(op operation) { w.tally(w.acked, op) }

func (w *crashWorld) tally(in map[operation]int, op operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in[op]++
}

// operator ends agents and credentials, and resumes agents.
func (l *load) operator(random *rand.Rand) {
	for !l.over() {
		n := random.IntN(1000)
		if n < 5 {
			l.rotate([]string{"tokens", "audit", "issuer"}[random.IntN(3)])
			continue
		}
		if n < 400 {
			if a := l.victim(random, agents.Suspended); a != nil {
				l.resume(a)
			}
			continue
		}
		a := l.victim(random, agents.Active)
		switch {
		case a == nil:
			time.Sleep(time.Millisecond)
		case n < 650:
			l.end(a, "agent.suspend", agents.Suspended, func(ctx context.Context) (api.Receipt, error) { return l.admin.Suspend(ctx, a.name, "") })
		case n < 700:
			l.end(a, "agent.decommission", agents.Decommissioned, func(ctx context.Context) (api.Receipt, error) { return l.admin.Decommission(ctx, a.name, "") })
		case n < 800:
			l.end(a, "credential.revoke", agents.Active, func(ctx context.Context) (api.Receipt, error) {
				return l.admin.Revoke(ctx, api.Selection{Agent: a.name})
			})
		default:
			l.endOne(random, a)
		}
	}
}

// victim returns an agent in a state that lately had clients, or nil. It is
// the operator's to change.
func (l *load) victim(random *rand.Rand, s agents.State) *crashAgent {
	l.mu.Lock()
	defer l.mu.Unlock()
	lately := l.credentials
	if s == agents.Suspended {
		lately = l.dead
	}
	for range min(30, len(lately)) {
		a := lately[len(lately)-1-random.IntN(min(200, len(lately)))].agent
		if a.state == s && !a.unknown && !a.enrolls && a != l.api {
			a.beginChange()
			if s == agents.Suspended {
				a.state = resuming
			}
			return a
		}
	}
	return nil
}

// end ends all that an agent holds. Anything received meanwhile is in doubt.
func (l *load) end(a *crashAgent, action string, after agents.State, call func(context.Context) (api.Receipt, error)) {
	l.mu.Lock()
	held, account := slices.Clone(a.held), a.account
	a.account, a.binding = nil, api.ACMEKey{}
	l.mu.Unlock()
	l.doubt(held...)
	op := operation{action, a.name}
	l.request(op)
	receipt, err := call(l.ctx())
	l.settle(a, op, after, held, receipt, err)
	if err == nil && account != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ended = append(l.ended, account)
	}
}

// endOne ends one certificate or token of the agent.
func (l *load) endOne(random *rand.Rand, a *crashAgent) {
	var some []*credential
	l.mu.Lock()
	if len(a.held) > 0 {
		if c := a.held[random.IntN(len(a.held))]; c.own == alive && time.Until(c.id.Expires()) > 10*time.Second {
			some = append(some, c)
		}
	}
	l.mu.Unlock()
	if some == nil {
		l.endChange(a, agents.Active, nil)
		return
	}
	l.doubt(some...)
	id, call := some[0].id.String(), l.admin.RevokeCertificate
	op := operation{"certificate.revoke", id}
	if some[0].token != "" {
		op.action, call = "token.revoke", l.admin.RevokeToken
	}
	l.request(op)
	receipt, err := call(l.ctx(), id, "")
	l.settle(a, op, agents.Active, some, receipt, err)
}

// settle notes what became of a change.
func (l *load) settle(a *crashAgent, op operation, after agents.State, ended []*credential, r api.Receipt, err error) {
	if l.lost(fmt.Sprint(op), err) {
		l.loseChange(a)
		return
	}
	l.saw("change")
	l.granted(op)
	for _, list := range r.CRL {
		l.sawNumber(list.Issuer, list.Number)
	}
	if r.Warning != "" && !l.over() {
		l.fail("%s: %s", op, r.Warning)
	}
	l.endChange(a, after, ended)
}

// resume lets an agent enroll again, which some client will do.
func (l *load) resume(a *crashAgent) {
	op := operation{"agent.resume", a.name}
	l.request(op)
	_, err := l.admin.Resume(l.ctx(), a.name)
	l.settle(a, op, agents.Active, nil, api.Receipt{}, err)
}

// rotate puts a new key to work.
func (l *load) rotate(purpose string) {
	op := operation{"key.rotate", purpose}
	l.request(op)
	if _, err := l.admin.RotateKeyNow(l.ctx(), purpose, ""); l.lost("rotating a key", err) {
		return
	}
	l.saw("change")
	l.granted(op)
}
