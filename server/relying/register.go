package relying

import (
	"cmp"
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
