package storage

import "time"

// Some engines can do more than a [DB] must. Callers ask by the functions of this
// file, which have an answer for the other engines, too.

// A Notifier is a [DB] that can say when it has changed.
type Notifier interface {
	// Changed returns a channel that is closed after the next commit, once it is
	// durable, and when the store is closed.
	Changed() <-chan struct{}
}

// pollEvery is how long a caller waits before it looks again at an engine that is
// not a [Notifier].
const pollEvery = 200 * time.Millisecond

// Changed returns a channel that is closed when db may have changed since the
// call. A caller that calls Changed, reads, and only then waits misses nothing.
func Changed(db DB) <-chan struct{} {
	if n, ok := db.(Notifier); ok {
		return n.Changed()
	}
	changed := make(chan struct{})
	time.AfterFunc(pollEvery, func() { close(changed) })
	return changed
}

// Stats tells how large a store is and what it has done since it was opened.
type Stats struct {
	Size         int64  // on the disk, in bytes; 0 once closed
	Commits      uint64 // that were durable
	Transactions uint64 // that wrote and were committed; several may share a commit

	CommitTime time.Duration // that the commits took in all

	// Free is the unused room in the store, of which Reserve is kept for urgent
	// transactions. An engine without a reserve has neither.
	Free, Reserve int64
	// DiskFree is what is free on the disk of DiskSize bytes. Both are 0 where the file
	// system does not say, such as a tmpfs without a limit.
	DiskFree, DiskSize int64
}

// A Statser is a [DB] that counts.
type Statser interface{ Stats() Stats }

// StatsOf returns the figures of this moment: none for an engine that does not count.
func StatsOf(db DB) Stats {
	if s, ok := db.(Statser); ok {
		return s.Stats()
	}
	return Stats{}
}

// A Health is a [DB] that knows what is wrong with it.
type Health interface {
	// Trouble returns why the store refuses transactions now, or nil.
	Trouble() error
}

// Trouble returns why db refuses transactions now, or nil if it does not, or
// cannot say.
func Trouble(db DB) error {
	if h, ok := db.(Health); ok {
		return h.Trouble()
	}
	return nil
}
