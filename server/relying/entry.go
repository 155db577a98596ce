package relying

import (
	"maps"
	"slices"
	"time"
)

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

func (e *entry) use(u Use, at time.Time) {
	e.fresh = e.fresh || e.Uses[u].IsZero()
	e.Uses[u], e.seen = at, at
}

func (e *entry) copy() Party {
	p := e.Party
	p.Uses = maps.Clone(e.Uses)
	p.Issuers = slices.Clone(e.Issuers)
	return p
}
