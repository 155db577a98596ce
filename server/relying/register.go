package relying

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

const (
	// maxStrangers is how many parties that are no agents are remembered. Beyond,
	// those that were seen longest ago are forgotten.
	maxStrangers = 2048
	// maxSoftwareEach is how many names one party's software may have: the client
	// chooses the names.
	maxSoftwareEach = 8
	maxIssuers      = 4
	// maxBatch is how many parties one transaction stores. It keeps the transaction short,
	// and no larger than the groups of other transactions, by whose size the store
	// reserves room.
	maxBatch = 256
	// grain is how old the stored time of a party may be while it is seen again and
	// again. So it does not cost a commit each minute.
	grain = time.Hour
)

// stored holds the parties, by name or address and software.
const stored = storage.Table[Party]("parties")

// A Register remembers relying parties. Its methods may be called concurrently.
type Register struct {
	mu      sync.Mutex
	parties map[id]*entry
	named   map[whose]int // how many names of software each has
	others  int           // parties that are no agents
	gone    []id          // to be removed from the store
}

// An id tells parties apart: an agent may be called like an address.
type id struct {
	agent         bool
	who, software string
}

func (p *Party) id() id { return id{p.Agent, p.Who, p.Software} }

// key is where the store has the party. Neither part has a space in it.
func (i id) key() string {
	kind := "address"
	if i.agent {
		kind = "agent"
	}
	return kind + " " + i.who + " " + i.software
}

// A whose names a party, whatever its software is.
type whose struct {
	agent bool
	who   string
}

func (i id) whose() whose { return whose{i.agent, i.who} }

// An entry is a party, and which parts of it the store does not have yet.
type entry struct {
	Party
	seen  time.Time // last, as Seen finds out
	saved time.Time // seen, as it is stored; zero if it is not
	fresh bool      // something besides a time is new
}

// Load returns the register as it is stored.
func Load(tx storage.Tx) (*Register, error) {
	r := &Register{parties: map[id]*entry{}, named: map[whose]int{}}
	for p, err := range stored.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		r.add(&entry{Party: p, seen: p.Seen(), saved: p.Seen()})
	}
	return r, nil
}

func (r *Register) add(e *entry) {
	i := e.id()
	r.parties[i] = e
	r.named[i.whose()]++
	if !i.agent {
		r.others++
	}
}

func (r *Register) forget(i id) {
	if !r.parties[i].saved.IsZero() {
		r.gone = append(r.gone, i)
	}
	delete(r.parties, i)
	if r.named[i.whose()]--; r.named[i.whose()] == 0 {
		delete(r.named, i.whose())
	}
	if !i.agent {
		r.others--
	}
}

// Note remembers an observation. It runs in each request, so it only looks up and
// compares, and allocates only for new facts.
func (r *Register) Note(s Observation) {
	name, hybrid := software(s.UserAgent)
	i := id{true, string(s.Agent), name}
	if s.Agent == "" {
		i.agent, i.who = false, s.Address.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.find(i, s.At)
	if s.HTTPS {
		e.use(HTTPS, s.At)
	}
	if s.Use != "" {
		e.use(s.Use, s.At)
	}
	if len(s.Takes) > 0 && !slices.Equal(e.Takes, s.Takes) {
		e.Takes, e.fresh = s.Takes, true
	}
	if e.Hybrid != hybrid {
		e.Hybrid, e.fresh = hybrid, true
	}
	if s.Issuer != "" && !slices.Contains(e.Issuers, s.Issuer) {
		e.Issuers, e.fresh = append(e.Issuers, s.Issuer), true
		e.Issuers = e.Issuers[max(0, len(e.Issuers)-maxIssuers):]
	}
}

func (e *entry) use(u Use, at time.Time) {
	e.fresh = e.fresh || e.Uses[u].IsZero()
	e.Uses[u], e.seen = at, at
}

// find returns the entry and makes it if necessary. A party with too many names of
// software is entered without one.
func (r *Register) find(i id, now time.Time) *entry {
	e, ok := r.parties[i]
	if !ok && i.software != "" && r.named[i.whose()] >= maxSoftwareEach {
		i.software = ""
		e, ok = r.parties[i]
	}
	if ok {
		return e
	}
	if !i.agent && r.others >= maxStrangers {
		r.makeRoom()
	}
	e = &entry{Party: Party{Who: i.who, Agent: i.agent, Software: i.software, First: now, Uses: map[Use]time.Time{}}, fresh: true}
	r.add(e)
	return e
}

// makeRoom forgets the eighth of the strangers that was seen longest ago. Because it
// forgets many at once, it is seldom called.
func (r *Register) makeRoom() {
	var all []id
	for i, e := range r.parties {
		if !e.Agent {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b id) int { return r.parties[a].seen.Compare(r.parties[b].seen) })
	for _, i := range all[:len(all)/8] {
		r.forget(i)
	}
}

// All returns the parties, those seen last first.
func (r *Register) All() []Party {
	r.mu.Lock()
	var all []Party
	for _, e := range r.parties {
		all = append(all, e.copy())
	}
	r.mu.Unlock() // each request waits for it, and sorting takes longer
	slices.SortFunc(all, func(a, b Party) int {
		return cmp.Or(b.Seen().Compare(a.Seen()), cmp.Compare(a.Who, b.Who), cmp.Compare(a.Software, b.Software))
	})
	return all
}

// Changes are the changes of a register that the store does not have yet.
type Changes struct {
	put  []Party
	gone []id
}

// Changes returns what the store does not have yet: all of it, or only new facts and
// times that are too old there. It forgets parties that were not seen for too long.
func (r *Register) Changes(now time.Time, all bool) Changes {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range r.parties {
		if now.Sub(e.seen) > Memory {
			r.forget(i)
		}
	}
	c := Changes{gone: r.gone}
	r.gone = nil
	for _, e := range r.parties {
		if e.fresh || e.seen.Sub(e.saved) >= grain || all && e.seen.After(e.saved) {
			c.put = append(c.put, e.copy())
			e.fresh, e.saved = false, e.seen
		}
	}
	return c
}

// Batches yields the changes in parts, each for a transaction of its own. Removals
// come first: a party that was forgotten may have come back.
func (c Changes) Batches() iter.Seq[Changes] {
	return func(yield func(Changes) bool) {
		for gone := range slices.Chunk(c.gone, maxBatch) {
			if !yield(Changes{gone: gone}) {
				return
			}
		}
		for put := range slices.Chunk(c.put, maxBatch) {
			if !yield(Changes{put: put}) {
				return
			}
		}
	}
}

// Failed says that changes could not be stored. Parties to put are among the next
// changes. Parties to remove are found to be too old after the next start.
func (r *Register) Failed(c Changes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range c.put {
		if e, ok := r.parties[p.id()]; ok {
			e.fresh = true
		}
	}
}

// Save stores changes. If the transaction fails, call [Register.Failed].
func (c Changes) Save(tx storage.Tx) error {
	for _, i := range c.gone {
		if err := stored.Delete(tx, i.key()); err != nil {
			return err
		}
	}
	for _, p := range c.put {
		if err := stored.Put(tx, p.id().key(), p); err != nil {
			return err
		}
	}
	return nil
}

// Store stores all observations, or only those worth a commit. A crash may lose later
// ones. If storing fails, the next call tries again.
func (r *Register) Store(ctx context.Context, db storage.DB, now time.Time, all bool) error {
	var failed error
	for changes := range r.Changes(now, all).Batches() {
		if err := db.Update(ctx, changes.Save); err != nil {
			r.Failed(changes)
			failed = err
		}
	}
	return failed
}

func (e *entry) copy() Party {
	p := e.Party
	p.Uses = maps.Clone(e.Uses)
	p.Issuers = slices.Clone(e.Issuers)
	return p
}
