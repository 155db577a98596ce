package agents

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// LastUse remembers when each agent last used a credential of any kind: a certificate, a
// token, a registered key, an ACME account. [LastUse.Note] costs no commit and no lock.
// [LastUse.Store] writes what was noted, and [LastUse.Last] takes the later of what is noted
// and what is stored. A crash loses the uses of a few minutes. Each node stores what it saw;
// the stored time never goes back.
type LastUse struct {
	now   func() time.Time
	noted sync.Map // Name to *lastUse; agents that were seen lately
}

// NewLastUse returns an empty LastUse that stores by the clock now.
func NewLastUse(now func() time.Time) *LastUse { return &LastUse{now: now} }

// A lastUse is the last use by one agent, in seconds since the Unix epoch.
type lastUse struct{ seen, saved atomic.Int64 }

// A seconds is a time as it is stored: 8 octets, seconds since the Unix epoch.
type seconds int64

// lastUses holds the last use of each agent, by its name, and under recorded when this
// version of the store began to hold any. No agent has that name.
const (
	lastUses = storage.Table[seconds]("lastuse")
	recorded = "*"
)

// MarshalBinary returns the stored form.
func (s seconds) MarshalBinary() ([]byte, error) {
	return binary.BigEndian.AppendUint64(nil, uint64(s)), nil
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (s *seconds) UnmarshalBinary(b []byte) error {
	if len(b) != 8 {
		return fmt.Errorf("time of %d octets, want 8", len(b))
	}
	*s = seconds(binary.BigEndian.Uint64(b))
	return nil
}

func (s seconds) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0)
}

// Note says that an agent used a credential. It does nothing if l is nil.
func (l *LastUse) Note(n Name, when time.Time) {
	if l == nil || n == "" {
		return
	}
	at := when.Unix()
	u, ok := l.noted.Load(n)
	if !ok {
		u, _ = l.noted.LoadOrStore(n, new(lastUse))
	}
	if seen := &u.(*lastUse).seen; seen.Load() < at {
		seen.Store(at) // of two at the same second, either will do
	}
}

// Last returns the last use by an agent, or the zero time if none is known.
func (l *LastUse) Last(tx storage.Tx, n Name) (time.Time, error) {
	last, err := storedUse(tx, string(n))
	if u, ok := l.noted.Load(n); ok {
		last = max(last, seconds(u.(*lastUse).seen.Load()))
	}
	return last.time(), err
}

func storedUse(tx storage.Tx, key string) (seconds, error) {
	s, err := lastUses.Get(tx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	return s, err
}

// Recorded returns the time before which uses are not on record, although there may have
// been some: when the store first came to this version, or when it was last restored. It is
// the zero time if no uses are on record.
func Recorded(tx storage.Tx) (time.Time, error) {
	since, err := storedUse(tx, recorded)
	if err != nil || since == 0 {
		return time.Time{}, err
	}
	r, err := LastRestore(tx)
	if r.At.After(since.time()) {
		return r.At, err
	}
	return since.time(), err
}

// RecordUses has the store say that uses are on record from now on, unless it does already.
func RecordUses(tx storage.Tx, now time.Time) error {
	if since, err := storedUse(tx, recorded); err != nil || since != 0 {
		return err
	}
	return lastUses.Put(tx, recorded, seconds(now.Unix()))
}

const (
	// useGrain is how old the stored time may be while an agent is seen again and again:
	// so an agent at work costs one write in that time.
	useGrain = 5 * time.Minute
	// useBatch is how many agents one transaction stores.
	useBatch = 256
	// useMemory is for how long an agent that is not seen stays in memory after it is stored.
	useMemory = time.Hour
)

// Store stores what was noted: what the store has older than a few minutes, or all of it.
// If it fails, the next call tries again.
func (l *LastUse) Store(ctx context.Context, db storage.DB, all bool) error {
	now := l.now().Unix()
	var due []Name
	l.noted.Range(func(k, v any) bool {
		u := v.(*lastUse)
		seen, saved := u.seen.Load(), u.saved.Load()
		switch {
		case seen > saved && (all || seen-saved >= int64(useGrain/time.Second)):
			due = append(due, k.(Name))
		case seen <= saved && now-seen > int64(useMemory/time.Second):
			l.noted.Delete(k) // a use noted meanwhile is noted again with the next one
		}
		return true
	})
	slices.Sort(due)
	var failed error
	for part := range slices.Chunk(due, useBatch) {
		if err := l.storePart(ctx, db, part); err != nil {
			failed = err
		}
	}
	return failed
}

// storePart stores the uses of some agents. Another node may have stored a later one.
func (l *LastUse) storePart(ctx context.Context, db storage.DB, part []Name) error {
	seen := map[Name]int64{}
	for _, n := range part {
		if u, ok := l.noted.Load(n); ok {
			seen[n] = u.(*lastUse).seen.Load()
		}
	}
	err := db.Update(ctx, func(tx storage.Tx) error {
		for _, n := range part {
			had, err := storedUse(tx, string(n))
			if err == nil && seconds(seen[n]) > had {
				err = lastUses.Put(tx, string(n), seconds(seen[n]))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for n, at := range seen {
		if u, ok := l.noted.Load(n); ok {
			u.(*lastUse).saved.Store(at)
		}
	}
	return nil
}
