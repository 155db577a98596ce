package components

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Certificates are the certificates on record, as the [Census] reads them.
type Certificates interface {
	// Alive yields all that expire after from. It may yield some that expired earlier.
	Alive(tx storage.Tx, from time.Time) iter.Seq2[Certified, error]
	// Since yields those that the audit log names at position or later. It may leave
	// out those that have expired at now.
	Since(tx storage.Tx, position int64, now time.Time) iter.Seq2[Certified, error]
}

// A Certified is the key of a certificate.
type Certified struct {
	Key     [32]byte // SHA-256 of the SubjectPublicKeyInfo
	Expires time.Time
}

// A Census knows the keys of all certificates that have not expired. It reads them
// all when somebody first asks for a composite, and then follows the audit log. So
// the cost of a composite does not grow with the number of certificates, and an
// authority without composites pays nothing.
type Census struct {
	db           storage.DB
	certificates Certificates

	mu     sync.Mutex
	events int64               // keys are up to date with this many events of the audit log
	keys   map[shortHash]int64 // when the last certificate of a key expires, in Unix seconds; nil until first used
	swept  int                 // how many keys were left when the expired ones were last removed
}

// NewCensus returns a Census of the certificates in db.
func NewCensus(db storage.DB, certificates Certificates) *Census {
	return &Census{db: db, certificates: certificates}
}

// A shortHash is the first half of the SHA-256 of a key. Two keys have the same one
// with a probability of 1 in 2^128. The Census would then refuse a good key and do no
// other harm.
type shortHash [16]byte

// maxFollow is how many events the Census reads one by one. After more than that it
// reads all certificates again.
const maxFollow = 1 << 16

// Clear compares the composites among keys with the certificates on record. It fails
// with [ErrShared] if a component key is the key of a certificate that has not
// expired. The index knows certified composites and registered keys, so it is not
// needed here.
//
// Clear reads the certificates before the transaction that registers or certifies the
// keys. The transaction then looks only at those issued since, and other writers do
// not wait. now is the time that it is at the earliest, see [clock.Clock.Earliest].
func (s *Census) Clear(ctx context.Context, now time.Time, keys ...Key) (Clearance, error) {
	halves := halvesOf(keys)
	if len(halves) == 0 {
		return Clearance{earliest: now}, nil
	}
	events, err := s.compare(ctx, halves, now)
	if err != nil {
		return Clearance{}, err
	}
	c := NewClearance(func(tx storage.Tx) error {
		for c, err := range s.certificates.Since(tx, events, now) {
			if err != nil {
				return err
			}
			if slices.Contains(halves, c.Key) && now.Before(c.Expires) {
				return ErrShared
			}
		}
		return nil
	}, keys...)
	c.earliest = now
	return c, nil
}

// compare brings the Census up to date and fails with [ErrShared] if it has one of
// halves. It returns the size that the audit log had then. Callers take turns: the
// first one leaves little to read for the next.
func (s *Census) compare(ctx context.Context, halves [][32]byte, now time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for again := true; again; {
		var err error
		if again, err = s.update(ctx, now); err != nil {
			return 0, err
		}
	}
	for _, half := range halves {
		if now.Unix() < s.keys[shortHash(half[:])] {
			return 0, ErrShared
		}
	}
	return s.events, nil
}

// update brings the Census up to date with a snapshot of the store. It reports
// whether it read all certificates: that may take long enough that many more were
// issued meanwhile. Expired keys stay for [clock.Tolerance], in case the clock is set
// back.
func (s *Census) update(ctx context.Context, now time.Time) (all bool, err error) {
	alive := now.Add(-clock.Tolerance)
	var events int64
	var found map[shortHash]int64
	err = s.db.View(ctx, func(tx storage.Tx) error {
		if events, err = audit.Size(tx); err != nil {
			return err
		}
		left, _, err := audit.Sealed(tx)
		if err != nil {
			return err
		}
		certificates := s.certificates.Since(tx, s.events, now)
		if all = s.keys == nil || s.events < left || events-s.events > maxFollow; all {
			certificates = s.certificates.Alive(tx, alive)
		}
		found = map[shortHash]int64{}
		for c, err := range certificates {
			if err != nil {
				return err
			}
			k := shortHash(c.Key[:])
			found[k] = max(found[k], c.Expires.Unix())
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if s.events = events; all {
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

// Size returns how many keys the Census has in memory.
func (s *Census) Size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}
