package operator

import (
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// unused are the enrollment tokens and ACME keys that nobody has used yet. They are no
// credentials, but a revocation that left them would leave the door open.
type unused struct {
	agents       []agents.Name
	tokens, keys int
}

// add adds what the agent has.
func (u *unused) add(a agents.Agent, now time.Time) {
	token, key := a.Unused(now)
	if token {
		u.tokens++
	}
	if key {
		u.keys++
	}
	if token || key {
		u.agents = append(u.agents, a.Name)
	}
}

// end ends them.
func (u *unused) end(tx storage.Tx) error {
	for _, n := range u.agents {
		if err := agents.Uninvite(tx, n); err != nil {
			return err
		}
	}
	return nil
}

// counted returns a receipt that counts them, too.
func (u *unused) counted(r api.Receipt) api.Receipt {
	r.Enrollments, r.ACMEKeys = u.tokens, u.keys
	return r
}

// invitations returns what of the selected agents is unused. A selection by time alone
// leaves it, and so does one whose reason is that there is something newer.
func (s selection) invitations(tx storage.Tx, why agents.Reason, now time.Time) (u unused, err error) {
	if !s.names() || why == agents.Superseded {
		return u, nil
	}
	for a, err := range agents.All(tx) {
		if err != nil {
			return u, err
		}
		if a.Name != agents.Authority && s.chooses(a, agents.Credential{IssuedAt: a.Invited}) {
			u.add(a, now)
		}
	}
	return u, nil
}
