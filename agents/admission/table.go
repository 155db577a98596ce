package admission

import (
	"hash/maphash"
	"sync"
	"time"
)

// A limit allows burst refusals at once and one more each time that every has passed.
type limit struct {
	burst int
	every time.Duration
}

// A count is what one refusal adds to one sender.
type count struct {
	sender uint64 // its hash, under a seed that nobody else knows
	limit  limit
}

// A table holds the counts of senders in a fixed amount of memory. A sender whose
// count has run down needs no entry. If a set of entries is full of others, the one that
// would run down first makes room, so no number of senders makes the table forget those
// that were refused most.
type table struct {
	seed maphash.Seed
	zero time.Time

	mu      sync.Mutex
	entries [][ways]entry
}

const (
	sets = 4096 // a table takes 512 kB
	ways = 8
)

// An entry says when the count of a sender will have run down (the "theoretical
// arrival time" of the generic cell rate algorithm), counted from the table's zero.
type entry struct {
	sender uint64
	down   time.Duration
}

func newTable() table {
	return table{seed: maphash.MakeSeed(), zero: time.Now(), entries: make([][ways]entry, sets)}
}

func (t *table) count(sender string, l limit) count {
	return count{maphash.String(t.seed, sender), l}
}

// find returns the entry of a sender, or the one that it may have.
func (t *table) find(sender uint64) *entry {
	set := &t.entries[sender%sets]
	least := &set[0]
	for i := range set {
		if set[i].sender == sender {
			return &set[i]
		}
		if set[i].down < least.down {
			least = &set[i]
		}
	}
	return least
}

// down returns when the count of a sender will have run down: now at the earliest, and
// no later than one that was just used up. Otherwise a clock that was set back would
// block the sender until it has caught up.
func (t *table) down(now time.Duration, c count) time.Duration {
	e := t.find(c.sender)
	if e.sender != c.sender || e.down < now {
		return now
	}
	e.down = min(e.down, now+time.Duration(c.limit.burst)*c.limit.every)
	return e.down
}

func (t *table) room(now time.Duration, c count) bool {
	return t.down(now, c)+c.limit.every <= now+time.Duration(c.limit.burst)*c.limit.every
}

// has reports whether there is room for a refusal.
func (t *table) has(at time.Time, c count) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.room(at.Sub(t.zero), c)
}

// take adds all counts, or none if one of the senders has no room.
func (t *table) take(at time.Time, counts []count) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := at.Sub(t.zero)
	for _, c := range counts {
		if !t.room(now, c) {
			return false
		}
	}
	for _, c := range counts {
		down := t.down(now, c) + c.limit.every
		*t.find(c.sender) = entry{c.sender, down}
	}
	return true
}

// give takes back what take added.
func (t *table) give(counts []count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range counts {
		if e := t.find(c.sender); e.sender == c.sender {
			e.down -= c.limit.every
		}
	}
}
