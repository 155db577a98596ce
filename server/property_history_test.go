package server

import (
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A history is what the audit log alone tells.
type history struct {
	states  map[string]agents.State
	pending map[string]bool            // an enrollment token may be used
	alive   map[string]map[string]bool // by agent, then by credential: whether nothing ended it
	owner   map[string]string          // known from elsewhere: the log does not say what was set
}

// compareWithLog rebuilds from the log which credentials exist, which are
// alive and how the agents are, and compares that with every view.
func (c *crowd) compareWithLog() {
	h := &history{states: map[string]agents.State{}, pending: map[string]bool{}, alive: map[string]map[string]bool{}, owner: map[string]string{}}
	bound := map[string]*held{} // the log does not say to what a token is bound
	answered := map[string]*held{}
	for _, m := range c.members {
		h.owner[m.name] = m.owner
		for _, x := range m.holdings {
			answered[x.id] = x
			if x.with != nil {
				bound[x.id] = x.with
			}
		}
	}
	for _, e := range c.log(0) {
		if e.Decision == audit.Allow {
			h.play(e)
		}
	}
	listed := c.revokedSerials()
	checked, dead := 0, 0
	for agent, credentials := range h.alive {
		for id, alive := range credentials {
			x := answered[id]
			if agent == string(agents.Authority) {
				continue
			}
			if x == nil {
				c.t.Errorf("the log has %s of %s, which nobody was given", id, agent)
				continue
			}
			delete(answered, id)
			if w := bound[id]; w != nil {
				alive = alive && h.alive[agent][w.id]
			}
			checked++
			if !alive {
				dead++
			}
			switch {
			case x.cert != nil && c.renewable(x.cert) != alive:
				c.t.Errorf("certificate %s of %s authenticates: %t; by the log %t", id, agent, !alive, alive)
			case x.cert != nil && listed[id] == alive:
				c.t.Errorf("certificate %s of %s (%s) is on the CRL: %t; by the log it is alive: %t", id, agent, h.states[agent], listed[id], alive)
			case x.cert != nil && c.good(x.cert) != alive:
				c.t.Errorf("certificate %s of %s is good by OCSP: %t; by the log %t", id, agent, !alive, alive)
			case x.cert == nil && c.active(x.token) != alive:
				c.t.Errorf("token %s of %s is active: %t; by the log %t", id, agent, !alive, alive)
			}
		}
	}
	for id := range answered {
		c.t.Errorf("%s was given and is not in the log", id)
	}
	c.t.Logf("%d credentials, %d of them dead", checked, dead)
	c.compareRegistry(h)
}

// play applies an event that was allowed.
func (h *history) play(e audit.Event) {
	switch who := e.Subject; e.Action {
	case "agent.add":
		h.states[who], h.pending[who] = agents.Active, true
	case "agent.reenroll":
		h.pending[who] = true
	case "certificate.issue", "token.mint":
		if h.alive[who] == nil {
			h.alive[who] = map[string]bool{}
		}
		h.alive[who][e.Credential] = true
		if slices.Equal(e.Reasons, []string{"enrollment token"}) {
			h.pending[who] = false
		}
	case "certificate.revoke", "token.revoke":
		for _, all := range h.alive {
			if _, ok := all[e.Credential]; ok {
				all[e.Credential] = false
			}
		}
	case "agent.suspend":
		h.states[who], h.pending[who] = agents.Suspended, false
		endAll(h.alive[who])
	case "agent.resume":
		h.states[who] = agents.Active
	case "agent.decommission":
		h.states[who], h.pending[who] = agents.Decommissioned, false
		endAll(h.alive[who])
	case "credential.revoke":
		owner, byOwner := strings.CutPrefix(who, "owner ")
		chosen := func(agent string) bool { return agent == who || byOwner && h.owner[agent] == owner }
		for agent, all := range h.alive {
			if chosen(agent) {
				endAll(all)
			}
		}
		for agent := range h.pending { // what was not used yet ends, too
			if chosen(agent) && e.Reasons[0] != "superseded" {
				h.pending[agent] = false
			}
		}
	}
}

// endAll lets all credentials end.
func endAll(all map[string]bool) {
	for id := range all {
		all[id] = false
	}
}

// compareRegistry compares the agents and the records with the history.
func (c *crowd) compareRegistry(h *history) {
	c.update(func(tx storage.Tx) error {
		for a, err := range agents.All(tx) {
			if err != nil {
				return err
			}
			name := string(a.Name)
			if a.Name != agents.Authority && (a.State != h.states[name] || (a.Pending != nil) != h.pending[name]) {
				c.t.Errorf("%s is %s, may enroll: %t; by the log %s, %t", name, a.State, a.Pending != nil, h.states[name], h.pending[name])
			}
		}
		return nil
	})
	for agent, ids := range c.holdings() {
		for _, id := range ids {
			if _, ok := h.alive[agent][id]; !ok {
				c.t.Errorf("%s of %s is on record and not in the log", id, agent)
			}
		}
		if len(ids) != len(h.alive[agent]) {
			c.t.Errorf("%s: %d credentials on record, %d in the log", agent, len(ids), len(h.alive[agent]))
		}
	}
}
