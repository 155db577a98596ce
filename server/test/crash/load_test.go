package crash_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// A load is what many clients ask of the server at the same time, until it is
// killed.
type load struct {
	*crashWorld
	fatal string       // the server is killed the moment an answer of this kind came,
	left  atomic.Int64 // once this many have
}

const clients = 8

// run asks until somebody kills the server.
func (l *load) run(seed uint64) {
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { l.client(rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	all.Go(func() { l.operator(rand.New(rand.NewPCG(seed, 100))) })
	all.Go(func() { l.auditor() })
	all.Go(func() { l.introspector(rand.New(rand.NewPCG(seed, 101))) })
	all.Wait()
}

func (l *load) over() bool { return l.process.Ending.Load() || l.t.Failed() }

// saw counts an answer, which may be the server's last.
func (l *load) saw(kind string) {
	if kind == l.fatal && l.left.Add(-1) == 0 {
		l.process.Kill()
	}
}

// lost reports whether no answer came. That is a failure of the server, unless
// it is being killed.
func (l *load) lost(what string, err error) bool {
	if err != nil && !l.over() {
		l.fail("%s: %v", what, err)
	}
	return err != nil
}

// client is several agents, one after the other.
func (l *load) client(random *rand.Rand) {
	plain := l.httpsClient(nobody)
	defer plain.CloseIdleConnections()
	var a *crashAgent
	defer func() { l.release(a) }()
	for !l.over() {
		if a == nil || random.IntN(30) == 0 {
			l.release(a)
			if a = l.take(random); a == nil {
				a = l.addAgent(agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
			}
			continue
		}
		if !l.certified(a) {
			if !l.reenroll(a) {
				l.release(a)
				a = nil
			}
			continue
		}
		switch random.IntN(4) {
		case 0:
			l.renew(a)
		case 3:
			l.order(a)
		case 1:
			l.token(a, a.http, nil)
		case 2:
			proof, err := l.assert(a)
			if !l.lost("signing an assertion", err) {
				l.token(a, plain, proof)
			}
		}
	}
}

// take returns an agent that no client uses, or nil: then a new one is due.
func (l *load) take(random *rand.Rand) *crashAgent {
	l.mu.Lock()
	defer l.mu.Unlock()
	if random.IntN(8) == 0 {
		return nil
	}
	for range 10 {
		if len(l.idle) == 0 {
			return nil
		}
		i := random.IntN(len(l.idle))
		if a := l.idle[i]; a.state == agents.Active && !a.unknown && !a.enrolls {
			l.idle = slices.Delete(l.idle, i, i+1)
			a.http.CloseIdleConnections()
			return a
		}
	}
	return nil
}

func (l *load) release(a *crashAgent) {
	if a == nil {
		return
	}
	a.http.CloseIdleConnections()
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.state != agents.Decommissioned {
		l.idle = append(l.idle, a)
	}
}

// certified reports whether the agent has a certificate for some time to come.
func (l *load) certified(a *crashAgent) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return a.current != nil && a.current.fate() == alive && time.Until(a.current.id.Expires()) > time.Minute
}
