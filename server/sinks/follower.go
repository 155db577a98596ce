package sinks

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A conn is an open way to a sink.
type conn interface {
	// send hands over events in their order. After an error some of them may have arrived.
	send(ctx context.Context, some []audit.Event) error
	// arrived returns the position before which all that was sent has arrived, or 0 if
	// nothing has.
	arrived(now time.Time) int64
	// lost is closed if the other side ends the connection; nil if it cannot.
	lost() <-chan struct{}
	// finish ends the connection after the last event, and abandon at any time. After
	// finish the answer of arrived is final.
	finish(ctx context.Context)
	abandon()
}

// positions has for each sink the position before which everything has arrived. It is
// stored as JSON: members may be added.
const positions = storage.Table[position]("audit.sinks")

type position struct {
	Next int64 `json:"next"`
}

// A follower sends the events of the log to one sink.
type follower struct {
	Config
	open   func(context.Context) (conn, error)
	events audit.Log
	log    *slog.Logger

	stop    context.CancelFunc // set when it starts
	stopped chan struct{}      // closed when it has stored its position

	mu      sync.Mutex // protects these
	next    int64      // the events before it have arrived
	known   bool       // whether next is known
	saved   int64      // the position in the store
	failed  error      // the last try
	working conn       // the open connection
}

const (
	lastRetry   = time.Minute
	finishTime  = 5 * time.Second // once the server stops
	chunkEvents = 100             // that are sent together
)

// Tests shorten these.
var (
	saveEvery  = time.Second // a commit each: events that arrived since are sent again after a crash
	firstRetry = time.Second
)

// run sends events until ctx is done.
func (f *follower) run(ctx context.Context) {
	saving, stop := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { f.save(saving) })
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		before := f.here()
		err := f.follow(ctx)
		if ctx.Err() != nil || errors.Is(err, storage.ErrClosed) {
			break
		}
		if f.here() > before {
			wait = firstRetry
		}
		f.note(err)
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
	}
	stop()
	wait.Wait()
	f.store(context.Background())
}

var errLost = errors.New("the other side ended the connection")

// follow sends events from where the last connection left off, over one connection, until
// ctx is done or something fails. Then it sends what is left and ends the connection.
func (f *follower) follow(ctx context.Context) error {
	if err := f.begin(ctx); err != nil {
		return err
	}
	following, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := sending{follower: f, next: f.here(), broken: cancel}
	defer s.drop()
	if err := s.all(following, f.events.Follow(following, s.next)); err != nil {
		return err
	}
	if ctx.Err() == nil {
		return context.Cause(following)
	}
	last, end := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer end()
	if err := s.all(last, f.events.Read(last, s.next)); err != nil {
		return err
	}
	if s.conn != nil {
		s.conn.finish(last)
	}
	return nil
}

// use makes c the open connection, after it has noted what has arrived over the last one.
func (f *follower) use(c conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.working != nil {
		f.next = max(f.next, f.working.arrived(time.Now()))
	}
	f.working = c
}

// note notes how a try ended. The log has the first failure and the end of failing.
func (f *follower) note(err error) {
	f.mu.Lock()
	before := f.failed
	f.failed = err
	f.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		f.log.Warn("events of the audit log could not be sent; trying again", "error", err)
	case err == nil && before != nil:
		f.log.Info("events of the audit log are sent again")
	}
}

// failure says why the last try failed, if it did.
func (f *follower) failure() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		return ""
	}
	return f.failed.Error()
}
