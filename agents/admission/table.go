package admission

import (
	"hash/maphash"
	"math"
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
	last    time.Duration // the latest time at which somebody was counted
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
	return table{seed: maphash.MakeSeed(), zero: time.Now(), entries: make([][ways]entry, sets), last: math.MinInt64 / 2}
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

// now returns the time since the table's zero. A clock that is set back goes on from
// there: counts run down at the same rate, and nobody is blocked for it.
func (t *table) now(at time.Time) time.Duration {
	now := at.Sub(t.zero)
	if now < t.last-time.Second { // less is a caller that was overtaken
		t.zero = t.zero.Add(now - t.last)
	}
	t.last = max(t.last, now)
	return t.last
}

// down returns when the count of a sender will have run down: now at the earliest.
func (t *table) down(now time.Duration, c count) time.Duration {
	e := t.find(c.sender)
	if e.sender != c.sender || e.down < now {
		return now
	}
	return e.down
}

func (t *table) room(now time.Duration, c count) bool {
	return t.down(now, c)+c.limit.every <= now+time.Duration(c.limit.burst)*c.limit.every
}

// has reports whether there is room for a refusal.
func (t *table) has(at time.Time, c count) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.room(t.now(at), c)
}

// limited returns how many senders have no room for another refusal, or nearly none.
func (t *table) limited(at time.Time) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now(at)
	for i := range t.entries {
		for _, e := range t.entries[i] {
			if e.down > now+window-agentLimit.every {
				n++
			}
		}
	}
	return n
}

// take adds all counts, or none if one of the senders has no room.
func (t *table) take(at time.Time, counts []count) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now(at)
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
