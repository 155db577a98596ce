package client

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// A laptop keeps a certificate by client.Run, and is suspended from six in the evening to
// eight in the morning, for longer than a certificate lives.
type laptop struct {
	*runner
	mu     sync.Mutex
	opened chan struct{} // closed when the lid opens; nil while it is open
	late   int           // mornings with an expired certificate
}

func newLaptop(y *year, name string, ip byte) *laptop {
	l := &laptop{}
	end := y.at(ip)
	dial := end.dial
	end.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if l.shut() != nil {
			return nil, errors.New("the machine is suspended")
		}
		return dial(ctx, network, address)
	}
	// A machine that is suspended in the middle of a request goes on there: Run is held where
	// it reports the failure, before it looks at the clock.
	l.runner = &runner{year: y, name: name, end: end, dir: y.t.TempDir(), hold: func() {
		if opened := l.shut(); opened != nil {
			select {
			case <-opened:
			case <-y.ctx.Done():
			}
		}
	}}
	return l
}

// shut returns a channel if the lid is shut, or nil.
func (l *laptop) shut() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

func (l *laptop) suspend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened == nil {
		l.opened = make(chan struct{})
	}
}

// wake opens the lid, and reports whether it was shut.
func (l *laptop) wake() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.opened != nil
	if was {
		close(l.opened)
		l.opened = nil
	}
	return was
}

// admit needs somebody who types the token.
func (l *laptop) admit(ctx context.Context, in api.Invited) error {
	l.wake()
	return l.runner.admit(ctx, in)
}

// work: in the morning the agent is back within one retry interval, without anybody.
func (l *laptop) work(ctx context.Context) error {
	switch hour := l.now().Hour(); {
	case hour >= 18 || hour < 8:
		l.suspend()
		return nil
	case !l.wake():
		return l.runner.work(ctx)
	}
	if !time.Now().Before(l.id.Certificate().NotAfter) {
		l.late++
	}
	if l.mayFail {
		return nil
	}
	time.AfterFunc(glance+spread+maxRetry, func() {
		if err := l.runner.work(ctx); err != nil && !l.mayFail {
			l.t.Errorf("%s: %s has woken up and is not back: %v", l.now().Format(time.DateTime), l.name, err)
		}
	})
	return nil
}

// lastMorning wakes the laptops, which must have been late sometimes.
func (y *year) lastMorning() {
	for name, w := range y.agents {
		l, is := w.(*laptop)
		if !is {
			continue
		}
		l.wake()
		time.Sleep(glance + spread + maxRetry)
		if err := l.runner.work(y.ctx); err != nil {
			y.failed[name] = err
		}
		if l.late == 0 {
			y.t.Errorf("the certificate of %s has never expired in the night", name)
		}
	}
}
