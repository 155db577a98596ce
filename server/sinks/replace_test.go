package sinks

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A slowConn takes all events at once. It ends when release is closed.
type slowConn struct {
	next    atomic.Int64
	release chan struct{}
}

func (c *slowConn) lost() <-chan struct{}   { return nil }
func (c *slowConn) arrived(time.Time) int64 { return c.next.Load() }
func (c *slowConn) finish(context.Context)  { <-c.release }
func (c *slowConn) abandon()                {}
func (c *slowConn) send(_ context.Context, some []audit.Event) error {
	c.next.Store(end(some))
	return nil
}

func (c *slowConn) follower(db storage.DB) *follower {
	return &follower{
		Config: Config{Name: "slow"}, open: func(context.Context) (conn, error) { return c, nil },
		events: audit.Log{DB: db}, log: slog.New(slog.DiscardHandler), stopped: make(chan struct{}),
	}
}

// TestSinkThatComesBackWaits: a sink that one reload removes and the next one brings back
// begins when the first one has ended. Otherwise both would send the same events, and the
// first one would store its position last.
func TestSinkThatComesBackWaits(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	defer db.Close()
	set, err := New(nil, testFrom, audit.Log{DB: db}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { set.Run(ctx); close(done) }()
	until(t, func() bool { set.mu.Lock(); defer set.mu.Unlock(); return set.running != nil })
	first, second := &slowConn{release: make(chan struct{})}, &slowConn{release: make(chan struct{})}
	one, two := first.follower(db), second.follower(db)
	if err := add(ctx, db, 3); err != nil {
		t.Fatal(err)
	}
	set.replace(nil, []*follower{one})
	until(t, func() bool { return first.next.Load() == 3 })
	set.replace([]*follower{one}, nil)
	set.replace(nil, []*follower{two})
	time.Sleep(100 * time.Millisecond)
	if n := second.next.Load(); n != 0 {
		t.Errorf("the second one sent %d events before the first one had ended", n)
	}
	close(first.release)
	if err := add(ctx, db, 1); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return second.next.Load() == 4 })
	close(second.release)
	cancel()
	<-done
}
