package acme

import (
	"context"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// How many validations run at once, and how many may exist, including those that wait:
// stock clients start all challenges of an order at once.
const (
	maxRunning           = 32
	maxRunningOfAccount  = 4
	maxUnderWay          = 512
	maxUnderWayOfAccount = maxIdentifiers
)

// A task is the validation of one challenge.
type task struct {
	account string
	order   agents.CredentialID
	authz   int
	kind    string // of challenge
}

// A validator runs tasks in the background and stores nothing. A task that a crash ended
// is started again when its client polls.
type validator struct {
	dialer *dialer
	pauses []time.Duration // before each attempt; RFC 8555, section 8.2 asks for several
	try    time.Duration   // how long one may take
	all    time.Duration   // how long all of them may take

	ctx     context.Context
	stop    context.CancelFunc
	wait    sync.WaitGroup
	running chan struct{}

	mu       sync.Mutex // protects what follows
	closed   bool
	underWay map[task]*problem // why the last attempt failed, if one did
	lanes    map[string]*lane
}

// A lane holds the tasks of one account.
type lane struct {
	running  chan struct{}
	underWay int
}

func newValidator(c ChallengeConfig) *validator {
	v := &validator{
		dialer: newDialer(c), pauses: []time.Duration{0, 2 * time.Second, 5 * time.Second},
		try: 10 * time.Second, all: 30 * time.Second,
		running: make(chan struct{}, maxRunning), underWay: map[task]*problem{}, lanes: map[string]*lane{},
	}
	v.ctx, v.stop = context.WithCancel(context.Background())
	return v
}

// close ends the running tasks and waits for them.
func (v *validator) close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.stop()
	v.wait.Wait()
}

// reserve takes room for a task; release gives it back. It reports false if the task
// exists already.
func (v *validator) reserve(t task) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.underWay[t]; known {
		return false, nil
	}
	l := v.lanes[t.account]
	if l == nil {
		l = &lane{running: make(chan struct{}, maxRunningOfAccount)}
	}
	if v.closed || len(v.underWay) >= maxUnderWay || l.underWay >= maxUnderWayOfAccount {
		p := newProblem("rateLimited", "too many validations are under way; try again soon")
		p.RetryAfter = v.try
		return false, p
	}
	v.lanes[t.account], v.underWay[t] = l, nil
	l.underWay++
	return true, nil
}

func (v *validator) release(t task) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.underWay, t)
	l := v.lanes[t.account]
	if l.underWay--; l.underWay == 0 {
		delete(v.lanes, t.account)
	}
}

// start runs a task that has room when its turn comes.
func (v *validator) start(t task, run func(context.Context)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	turns := []chan struct{}{v.lanes[t.account].running, v.running}
	v.wait.Go(func() {
		defer v.release(t)
		for _, turn := range turns {
			select {
			case turn <- struct{}{}:
				defer func() { <-turn }()
			case <-v.ctx.Done():
				return
			}
		}
		run(v.ctx)
	})
}

// tries returns nil as soon as an attempt has proven p, or else why the last one failed.
func (v *validator) tries(ctx context.Context, t task, p proof) *problem {
	ctx, cancel := context.WithTimeout(ctx, v.all)
	defer cancel()
	failed := newProblem("serverInternal", "the validation did not begin")
	for _, pause := range v.pauses {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return failed
		}
		if failed = v.dialer.prove(ctx, p, v.try); failed == nil {
			return nil
		}
		v.mu.Lock()
		v.underWay[t] = failed
		v.mu.Unlock()
	}
	return failed
}

// failure returns why the last attempt of a running task failed, or nil.
func (v *validator) failure(t task) *problem {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.underWay[t]
}
