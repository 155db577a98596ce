// Package sinks sends the events of the audit log to where an operator wants them: to a
// syslog server (RFC 5424 over TCP or TLS, RFC 5425 and 6587), into a file that is
// rotated, or to a webhook whose requests are signed.
//
// Each sink follows the log on its own, by [audit.Log.Follow], and keeps in the store the
// position before which everything has arrived. So each event arrives at least once, in
// order, and some arrive twice after a crash or a broken connection: their seq tells. A
// sink that fails tries again, later and later. It holds one batch in memory and no
// transaction, so it delays nothing else.
//
// Syslog has no answer that says that a message arrived. See syslogConn for what counts.
package sinks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Set is all sinks of an authority.
type Set struct {
	from   From
	events audit.Log
	log    *slog.Logger
	all    atomic.Pointer[[]*follower] // a list is never changed

	mu      sync.Mutex           // protects these
	running context.Context      // of Run; nil before and after
	latest  map[string]*follower // the last one of each name that was started
	wait    sync.WaitGroup       // for followers
}

// From says whose events the sinks send.
type From struct {
	TrustDomain string
	Host        func() string // under which the server is reached now
	Version     string        // of the program
}

// New returns the sinks that brevet.yaml lists. It reads the files and secrets that they
// need, so that a mistake there shows at the start.
func New(configs []Config, from From, events audit.Log, log *slog.Logger) (*Set, error) {
	s := &Set{from: from, events: events, log: log, latest: map[string]*follower{}}
	s.all.Store(new([]*follower))
	replace, err := s.Prepare(configs)
	if err != nil {
		return nil, err
	}
	replace()
	return s, nil
}

// opener returns what opens the way to the sink.
func (c Config) opener(from From) (func(context.Context) (conn, error), error) {
	switch c.Kind {
	case Syslog:
		return newSyslog(c, from)
	case File:
		return newFile(c, from), nil
	case Webhook:
		return newWebhook(c, from)
	}
	return nil, fmt.Errorf("unknown kind %q", c.Kind)
}

// A Status says how far a sink is.
type Status struct {
	Name   string
	Target string
	Next   int64     // the events before this position have arrived
	Behind int64     // how many have not
	Oldest time.Time // when the first of those was recorded; zero if all have arrived
	Error  string    // why the last try failed, if it did
}

// Status says how far each sink is. A nil set, before the first is made, has none.
func (s *Set) Status(ctx context.Context) (all []Status, err error) {
	if s == nil {
		return nil, nil
	}
	followers := *s.all.Load()
	if len(followers) == 0 {
		return nil, nil
	}
	err = s.events.DB.View(ctx, func(tx storage.Tx) error {
		all = nil
		for _, f := range followers {
			st, err := f.status(tx)
			if err != nil {
				return err
			}
			all = append(all, st)
		}
		return nil
	})
	return all, err
}

func (f *follower) status(tx storage.Tx) (Status, error) {
	next, err := f.position(tx)
	if err != nil {
		return Status{}, err
	}
	size, err := audit.Size(tx)
	if err != nil {
		return Status{}, err
	}
	st := Status{Name: f.Name, Target: f.Target, Next: next, Behind: max(0, size-next), Error: f.failure()}
	if st.Behind == 0 {
		return st, nil
	}
	oldest, err := audit.Get(tx, next)
	if sealed, ok := errors.AsType[*audit.SealedError](err); ok {
		st.Oldest = sealed.Segment.Begin
		return st, nil
	}
	st.Oldest = oldest.Time
	return st, err
}
