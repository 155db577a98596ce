package sinks

import (
	"context"
	"errors"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// begin finds out where to begin, if it is not known yet. A new sink's beginning is stored at
// once.
func (f *follower) begin(ctx context.Context) error {
	f.mu.Lock()
	known := f.known
	f.mu.Unlock()
	if known {
		return nil
	}
	var p position
	err := f.events.DB.View(ctx, func(tx storage.Tx) (err error) {
		p, err = positions.Get(tx, f.Name)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		if p.Next, err = f.first(ctx); err == nil {
			err = f.put(ctx, p.Next)
		}
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.next, f.saved, f.known = p.Next, p.Next, true
	f.mu.Unlock()
	return nil
}

// first returns where a new sink begins. It passes over segments at the beginning that are
// not there. Later, a sink waits for one that is missing.
func (f *follower) first(ctx context.Context) (next int64, err error) {
	size, err := f.events.Size(ctx)
	if err != nil || f.Skip {
		return size, err
	}
	missing, err := f.events.Missing(ctx, 0, size)
	for _, s := range missing {
		if s.First <= next {
			next = s.Next
		}
	}
	return next, err
}

// position returns how far the sink is, which is what is on record until it runs.
func (f *follower) position(tx storage.Tx) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known {
		return f.next, nil
	}
	p, err := positions.Get(tx, f.Name)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	return p.Next, err
}

// here returns the position before which everything has arrived.
func (f *follower) here() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.working != nil {
		f.next = max(f.next, f.working.arrived(time.Now()))
	}
	return f.next
}

// save keeps the position in the store up to date until ctx is done.
func (f *follower) save(ctx context.Context) {
	t := time.NewTicker(saveEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f.store(ctx)
		}
	}
}

// store stores the position if it is another one than the last. If that fails, as with a
// full disk, the next call tries again; after a crash the events since would arrive twice.
func (f *follower) store(ctx context.Context) {
	next := f.here()
	f.mu.Lock()
	changed := f.known && next != f.saved
	f.mu.Unlock()
	if !changed {
		return
	}
	if err := f.put(ctx, next); err != nil {
		if ctx.Err() == nil {
			f.log.Warn("the position of the audit sink could not be stored; trying again", "error", err)
		}
		return
	}
	f.mu.Lock()
	f.saved = next
	f.mu.Unlock()
}

func (f *follower) put(ctx context.Context, next int64) error {
	return f.events.DB.Update(ctx, func(tx storage.Tx) error { return positions.Put(tx, f.Name, position{next}) })
}
