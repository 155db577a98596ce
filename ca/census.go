package ca

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A census knows the keys of all certificates that have not expired, and until
// when they do. It is taken when the first composite is asked for, and brought up to
// date from the audit log for each one after it: so what a composite costs does
// not grow with the certificates there are, and an authority without composites
// pays nothing.
type census struct {
	mu     sync.Mutex
	events int64               // size of the audit log that keys are up to date with
	keys   map[shortHash]int64 // the last second, in Unix time, of certificates with this key; nil before the first
	swept  int                 // how many keys were left when the expired ones were removed
}

// A shortHash is a KeyHash, cut. That of another key cannot be met by more than
// chance, 1 in 2^128, and the other one would be refused for nothing, no more.
type shortHash [16]byte

// maxFollow is how many events are worth reading: beyond it,
// all certificates are looked at anew.
const maxFollow = 1 << 16

// check brings the census up to date, and fails with [components.ErrShared] if a
// half of the key is in it. It returns the size that the audit log had. One caller
// at a time does so, and leaves little to do for the next.
func (s *census) check(ctx context.Context, db storage.DB, c components.Key, now time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for again := true; again; {
		var err error
		if again, err = s.update(ctx, db, now); err != nil {
			return 0, err
		}
	}
	for _, half := range c.Halves {
		if now.Unix() < s.keys[shortHash(half[:])] {
			return 0, components.ErrShared
		}
	}
	return s.events, nil
}

// update brings the census up to date with a snapshot. It reports whether that
// took so long that there may be much to catch up with. What has expired stays in it
// for as long as the clock may be set back without anybody being refused.
func (s *census) update(ctx context.Context, db storage.DB, now time.Time) (long bool, err error) {
	alive := now.Add(-agents.ClockTolerance)
	var events int64
	var found map[shortHash]int64
	err = db.View(ctx, func(tx storage.Tx) error {
		if events, err = audit.Size(tx); err != nil {
			return err
		}
		all := issuedSince(tx, s.events, now)
		if long = s.keys == nil || events-s.events > maxFollow; long {
			all = Since(tx, alive)
		}
		found = map[shortHash]int64{}
		for c, err := range all {
			if err != nil {
				return err
			}
			k := shortHash(c.KeyHash[:])
			found[k] = max(found[k], c.ID.Expires().Unix())
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if s.events = events; long {
		s.keys, s.swept = found, len(found)
		return true, nil
	}
	for k, until := range found {
		s.keys[k] = max(s.keys[k], until)
	}
	if len(s.keys) > 2*s.swept+1024 {
		maps.DeleteFunc(s.keys, func(_ shortHash, until int64) bool { return until <= alive.Unix() })
		s.swept = len(s.keys)
	}
	return false, nil
}
