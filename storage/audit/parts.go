package audit

import (
	"slices"
	"strings"
)

// maxAgents is how many agents one event names. With names of 63 characters that is half
// of what an event holds.
const maxAgents = 128

// split returns e with as many agents as one event names, and the events with the others.
// Those say again who asked for what, but not what came of it: sums over events stay right.
func (e Event) split() (first Event, more []Event) {
	if e.Details == nil || len(e.Details.Agents) <= maxAgents {
		return e, nil
	}
	first = e
	for i, names := 0, e.Details.Agents; len(names) > 0; i++ {
		d := e.Details.Clone()
		n := min(maxAgents, len(names))
		d.Agents, names = slices.Clip(names[:n]), names[n:]
		if i == 0 {
			first.Details = &d
			continue
		}
		d.Selection, d.Counts, d.Part = nil, nil, int64(i)
		next := e
		next.Details = &d
		more = append(more, next)
	}
	return first, more
}

// maxName is how long the name of an agent is at most.
const maxName = 63

// namesFit reports whether the agents that the event names are kept when it must be
// cut: a search for the events of one agent, and a restore, need them all. Names of agents have
// nothing that JSON writes longer.
func (e *Event) namesFit() bool {
	return e.Details != nil && len(e.Details.Agents) > 0 && len(e.Details.Agents) <= maxAgents &&
		!slices.ContainsFunc(e.Details.Agents, func(n string) bool {
			return len(n) > maxName || strings.Trim(n, "abcdefghijklmnopqrstuvwxyz0123456789-./") != ""
		})
}

// Continues reports whether the event only goes on with the agents of an earlier one.
func (e *Event) Continues() bool { return e.Details != nil && e.Details.Part > 0 }

// Concerns reports whether the event names the agent: as its subject, or among those that it
// touched.
func (e *Event) Concerns(agent string) bool {
	return e.Subject == agent || e.Details != nil && slices.Contains(e.Details.Agents, agent)
}
